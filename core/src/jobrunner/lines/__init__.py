"""What a log line looks like in each format: jobrunner's own JSON, ECS, OTLP. Never decides where a line goes."""
