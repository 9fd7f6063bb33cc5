// Starts everything. Each part finds what it works on, and does nothing where there is none.

import { startBreakerGrid } from "./breaker_grid.js";
import { startCharts } from "./charts.js";
import { startCopy } from "./copy.js";
import { startCountdowns } from "./countdown.js";
import { startDialogs } from "./dialogs.js";
import { startKeys } from "./keys.js";
import { Live } from "./live.js";
import { startMenus } from "./menus.js";
import { startPrint } from "./print.js";
import { startRange } from "./range.js";
import { startSliders } from "./slider.js";
import { startTheme } from "./theme.js";
import { startTimes } from "./time.js";

startTheme();
startTimes();
startCountdowns();
startMenus();
startPrint();
startSliders();
startDialogs();
startCopy();
startRange();
startKeys();
startCharts();
startBreakerGrid();
new Live().start();
