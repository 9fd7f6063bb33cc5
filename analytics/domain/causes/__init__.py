"""Which service an incident began in, ranked from traces, logs and metrics of two windows."""
