"""The HTTP twin: on one port every verb as JSON, events, files, the page and OSCQuery.

    app        routes, start and stop
    security   which requests may come in: Host, Origin, password, content types
    calls      POST /retimbre/<verb>: JSON to a checked request, the verb's answers to JSON
    json_form  the values of messages as JSON
    events     GET /retimbre/events: later messages, in order, resumable
    clients    the clients that are known by name
    files      upload, download, the page
    gauges     GET /metrics
    openapi    GET /openapi.json
    oscquery   the address table as a tree that OSC clients browse; websocket: its other half
    reference  docs/http.md

All of it runs in the server's event loop; files are touched in the file threads.
"""
