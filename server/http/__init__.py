"""The HTTP twin: every verb of the address table as JSON, events, files, the page and OSCQuery, on
one port.

    app        routes, start and stop
    security   who may come in: Host, Origin, password, content types, security headers
    calls      POST /retimbre/<verb>: JSON to a checked request, the verb's answers to JSON
    events     GET /retimbre/events: what a client hears later, in order, resumable
    clients    the clients that are known by name
    files      upload, download, the page
    openapi    the description of it all, for programs
    oscquery   the same table as a tree that OSC clients browse; websocket: its other half

All of it runs in the server's event loop; files are touched in the file threads.
"""
