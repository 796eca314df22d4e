// Starts ReDoc on our document.
Redoc.init("/api/v1/openapi.json", { hideDownloadButton: false, nativeScrollbars: true }, document.getElementById("redoc"));
