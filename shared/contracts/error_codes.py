"""What each error code means, and what to do about it: docs/reference/errors.md is made from these sentences.

A test compares them with the codes that the code raises. Statuses and titles of REQUESTS are in `shared.http.problems`.
"""

REQUESTS: dict[str, str] = {
    "CONFLICT": "The object's state does not allow it, for instance because it is published. `detail` says what it is.",
    "FORBIDDEN": "The token is valid, but its roles, or the grant of a step, do not allow this.",
    "GENERATION_FAILED": "Reserved: failures of generations are in the job, not in the answer of a request.",
    "IDEMPOTENCY_KEY_IN_USE": "Wait for the answer of the first request, or repeat this one in a moment.",
    "IDEMPOTENCY_KEY_REUSED": "Use a new Idempotency-Key for each request; repeat a request unchanged under its key.",
    "INSUFFICIENT_CREDITS": "The user has fewer credits available than the request costs. Nothing was started.",
    "INTERNAL_ERROR": "A fault of the service. Report it with the X-Correlation-ID of the response.",
    "METHOD_NOT_ALLOWED": "The header Allow lists the methods of this address.",
    "MODEL_UNAVAILABLE": "Reserved: a model that is away fails the step, which is repeated.",
    "NOT_ACCEPTABLE": "The operation has no representation of a type that the header Accept names.",
    "NOT_FOUND": "The address or the object does not exist, or the object belongs to another user.",
    "PAYLOAD_TOO_LARGE": "The body, or a value in it, is larger than its limit, which `detail` states.",
    "PRECONDITION_REQUIRED": "Read the object, and send its ETag as If-Match.",
    "RANGE_NOT_SATISFIABLE": "The range begins behind the end of the file; Content-Range has its size.",
    "RATE_LIMITED": "Repeat the request after the seconds in Retry-After.",
    "UNAUTHENTICATED": "The token is missing, expired, or not from a trusted issuer; `detail` says which.",
    "UNAVAILABLE": "Repeat the request after Retry-After; `detail` says whether a command may have been done.",
    "UNSUPPORTED_MEDIA_TYPE": "Send the Content-Type that `detail` names, in UTF-8.",
    "VALIDATION_FAILED": "The request is wrong at the pointers in `details`. Repeating it unchanged can't succeed.",
    "VERSION_CONFLICT": "Read the object again, and repeat the change on its new version. 412 if If-Match was sent.",
    "WORKFLOW_NOT_EXECUTABLE": "The inputs, or the workflow's own definition, do not allow a run; `detail` says why.",
    "WORKFLOW_NOT_FOUND": "A step names a workflow that this set does not have: `GET /workflows` lists those it has.",
}
"""Of answers to requests."""

CONSUMED_EVENTS: dict[str, str] = {
    "CAPTURE_EXCEEDS_HOLD": "A job's cost is higher than the credits that are held for it.",
    "HOLD_AMOUNT_DIFFERS": "A job has a hold of another amount than is requested now.",
    "HOLD_DIFFERS": "Credits holds another amount than the job was quoted; the job is rejected.",
    "HOLD_NOT_FOUND": "Credits are to be captured for a job that has no hold.",
    "HOLD_RESOLVED": "The hold was captured or released before, with another amount.",
}
"""Of events that a service can't act on: in parked events and in `job_rejected`."""

STEPS: dict[str, str] = {
    "ANSWER_TOO_LARGE": "The server that the worker called answered with more bytes than the worker reads.",
    "API_ADDRESS": "The API's address is not valid, or is not a public one.",
    "API_ANSWER": "The API's answer lacks what the workflow reads from it, is not JSON, or is too large.",
    "API_EXPRESSION": "An expression of the workflow failed on the API's answer.",
    "API_FAILED": "The API accepted the task and later reported that it failed.",
    "API_REFUSED": "The API refused the request; the message has its own words.",
    "API_UNAVAILABLE": "The API can't be reached, does not answer, or is overloaded.",
    "CANCELLED": "The step was cancelled.",
    "CHECKPOINT_REFUSED": "The checkpoint that the worker wanted to keep is not JSON, or is too large.",
    "CLOCK_SKEW": "Storage refused the step's grant for its time: a clock is wrong, or the step took too long.",
    "COMFY_FAILED": "A node of the graph failed on the ComfyUI server; the message names it.",
    "COMFY_FILE_LOST": "The ComfyUI server no longer has a file that it reported.",
    "COMFY_INTERRUPTED": "Somebody interrupted the run on the ComfyUI server.",
    "COMFY_NO_OUTPUT": "The graph has run, and has made neither a file nor a text.",
    "COMFY_REFUSED": "The ComfyUI server refused the graph; the message has its reasons.",
    "COMFY_RUN_LOST": "The ComfyUI server forgot the run several times, for instance because it was restarted.",
    "COMFY_UNAVAILABLE": "No ComfyUI server answers.",
    "COMFY_UNSUITABLE": "No ComfyUI server has all nodes and models of the graph.",
    "COMFY_UPLOAD_FAILED": "The ComfyUI server did not take an input file.",
    "DEADLINE_EXCEEDED": "The worker stopped the step because its deadline had passed.",
    "INPUT_INVALID": "An input file can't be read as the format that the service needs.",
    "INPUT_REFUSED": "An input's address is not one that the worker reads files from (`INPUT_HOSTS`).",
    "INPUT_UNREADABLE": "An input file could not be downloaded; the message has the server's answer.",
    "INVALID_RESULT": "The worker's result is not what the workflow promises; the message says where.",
    "MALFORMED_WORK": "The worker could not read the message of work.",
    "OUTPUT_TOO_LARGE": "A file that the graph made is too large (`COMFY_OUTPUT_MAX_BYTES`), or there are too many.",
    "PAYLOAD_TOO_LARGE": "An input, or the step's payload with its inputs inserted, is larger than its limit.",
    "REFUSED": "The server that the worker called refused the request.",
    "RENDERER_LOST": "The studio's rendering process died, or could not be started.",
    "RENDER_FAILED": "The studio's service can't render these inputs.",
    "RENDER_TIMEOUT": "Rendering took longer than `RENDER_SECONDS`.",
    "RESULT_TOO_LARGE": "The step's outputs do not fit into a message.",
    "STEP_FAILED": "The worker reported a failure without an error.",
    "STEP_LOST": "No result came before the deadline (`STEP_DEADLINE`).",
    "UNAVAILABLE": "A server that the worker needs can't be reached or is overloaded.",
    "UNKNOWN_FILE": "The result names a file that storage has no record of.",
    "UPLOAD_CORRUPTED": "Storage received other bytes than the worker sent.",
    "UPLOAD_REFUSED": "Storage refused the file; the message has its reason.",
    "VALIDATION_FAILED": "An input of the step is missing or wrong; the message begins with its pointer.",
    "WORKER_FAULT": "A bug of the worker; its log has the details.",
    "WORKFLOW_NOT_EXECUTABLE": "The worker does not have the service that the step requires.",
}
"""Of steps that failed. An operator's own worker may use further codes."""
