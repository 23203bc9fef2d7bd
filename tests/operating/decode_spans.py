"""Reads an export request in OTLP's JSON with the published messages, and prints what is in it. An unknown field is an error."""

import base64
import json
import pathlib
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

sent = json.loads(pathlib.Path(sys.argv[1]).read_text())
# OTLP writes ids as hexadecimal, where protobuf's own JSON has base64.
for resource in sent["resourceSpans"]:
    for scope in resource["scopeSpans"]:
        for span in scope["spans"]:
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in span:
                    span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
message = json_format.ParseDict(sent, ExportTraceServiceRequest())
assert ExportTraceServiceRequest.FromString(message.SerializeToString()) == message
for resource in message.resource_spans:
    print(next(it.value.string_value for it in resource.resource.attributes if it.key == "service.name"))
    for span in resource.scope_spans[0].spans:
        assert len(span.trace_id) == 16 and len(span.span_id) == 8
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        status = [f" status={it.value.int_value}" for it in span.attributes if it.key == "http.response.status_code"]
        print(span.name, Span.SpanKind.Name(span.kind), span.trace_id.hex(), span.parent_span_id.hex() + "".join(status))
