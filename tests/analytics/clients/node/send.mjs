// A service of Node's SDK that fails once: its spans and log records go to SITE, as ENCODING says,
// and what became of them to the standard output.
import { ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter as JsonSpans } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufSpans } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const { SITE, KEY, ENCODING, COMPRESSION, SERVICE } = process.env;
const results = [];

function told(exporter) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      results.push(result.error ? String(result.error) : result.code);
      done(result);
    });
  return exporter;
}

function options(signal) {
  return {
    url: `${SITE}/v1/${signal}`,
    headers: { authorization: `Bearer ${KEY}` },
    compression: COMPRESSION,
    timeoutMillis: 60_000,
  };
}

const [Spans, Logs] = ENCODING === "json" ? [JsonSpans, JsonLogs] : [ProtobufSpans, ProtobufLogs];
const resource = defaultResource().merge(
  resourceFromAttributes({ "service.name": SERVICE, "service.version": "4.2.0" }),
);
const spans = new BatchSpanProcessor(told(new Spans(options("traces"))));
const tracing = new BasicTracerProvider({ resource, spanProcessors: [spans] });
const exporter = told(new Logs(options("logs")));
const logging = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter })],
});
const tracer = tracing.getTracer("shop.orders", "1.0");
const logger = logging.getLogger("shop.orders", "1.0");

function loadPlan(plan) {
  throw new TypeError(`plan ${plan} has no tasks`);
}

function summarize(plan) {
  return loadPlan(plan);
}

const root = tracer.startSpan("GET /plans");
const context = trace.setSpan(ROOT_CONTEXT, root);
const child = tracer.startSpan("load plan", { attributes: { "plan.id": 7, big: 2 ** 53 } }, context);
const childContext = trace.setSpan(context, child);
const attributes = { "plan.id": 7 };
logger.emit({ severityNumber: SeverityNumber.INFO, body: "plan 7 is asked for", attributes, context });
try {
  summarize(7);
} catch (error) {
  child.recordException(error);
  child.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  logger.emit({
    severityNumber: SeverityNumber.ERROR,
    body: "the plan cannot be summarized",
    attributes: {
      "exception.type": error.name,
      "exception.message": error.message,
      "exception.stacktrace": error.stack,
    },
    context: childContext,
  });
}
child.end();
root.end();

await tracing.forceFlush();
await logging.forceFlush();
await tracing.shutdown();
await logging.shutdown();
console.log(
  JSON.stringify({
    results,
    trace: root.spanContext().traceId,
    root: root.spanContext().spanId,
    child: child.spanContext().spanId,
  }),
);
