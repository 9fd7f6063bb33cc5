#!/bin/sh
# Makes sure that browser tests find a browser; without one they are skipped, which this says aloud.
# With REQUIRE_BROWSER=1 that is a failure.
set -u

found() {
    for name in chromium-headless-shell chromium chromium-browser google-chrome \
        google-chrome-stable chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

found && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium for the browser tests"
    export DEBIAN_FRONTEND=noninteractive
    # The engine alone, or where that is not to be had the whole browser.
    for attempt in 1 2 3; do
        apt-get update
        for package in chromium-headless-shell chromium; do
            apt-get install --yes --no-install-recommends "$package" && found && exit 0
        done
        echo "Attempt $attempt failed" >&2
        sleep $((attempt * 5))
    done
fi

echo "No browser was found: browser tests cannot run. Install Chromium or Google Chrome." >&2
[ "${REQUIRE_BROWSER:-}" != 1 ]
