"""Which growth is measured for which operation of the API; the others with the reason why none is.

tests/e2e/test_odd_values.py compares this with the document of the running API, so no operation can be forgotten.
"""

MEASURED: dict[str, tuple[str, ...]] = {
    "createCollection": ("a list is read", "variables are read", "components are given", "instructions are checked"),
    "editCollection": ("a collection's data is edited", "a collection's fields are edited"),
    "setVariables": ("a wrong table is refused", "a collection's variables are replaced"),
    "getVariables": ("a table goes out and comes in",),
    "setReceivers": ("receivers are set", "a collection's receivers are set"),
    "publishCollection": ("a collection is published", "metadata is made"),
    "chooseSeries": ("a series is chosen",),
    "generate": ("a job is planned", "a job of many steps is planned", "variables are chosen", "hashes are read"),
    "resumeJob": ("a job is resumed",),
    "registerWorkflow": ("a workflow is registered",),
    "changeWorkflow": ("a workflow is registered",),
    "testWorkflow": ("a job is planned",),
    "readModels": ("models are read by their names",),
    "createAndGenerate": ("components are given", "instructions are checked", "a job is planned", "hashes are read"),
    "remixCollection": ("components are given", "references are renamed"),
    "createFromTemplate": (
        "a template is filled",
        "a template's images are replaced",
        "components are given",
        "a collection's fields are edited",
    ),
    "requestPackage": ("a package is listed", "a manifest is written", "a package is laid out", "traits are told"),
    "getCollectionMetadata": ("metadata is made",),
    "getToken": ("metadata is made", "traits are told"),
    "getTokenMetadata": ("metadata is made", "traits are told"),
    "giveGrant": ("credits are held of many grants", "credits are captured of many grants"),
    "storeAsset": ("a file's name is read", "a file's type is read"),
    "readContent": ("a range is read", "many ranges are read", "many tags are compared"),
    "readJob": ("many positions are read",),
    "listAssets": ("a cursor is read",),
}
"""Of a parser that several operations share (cursors, tags, positions), one operation stands for all."""

ONE_NAME = "a title or an id, which is bounded: the body is read (tests/unit/http/test_growth.py) and recorded"
NOTHING = "it takes nothing of a user but ids and headers that all operations share"
PAGED = "it answers a page, of rows that the projector has made, with a cursor and ids for all it takes"
STORED = "it answers a document as it is stored"
FILE = "a number of 64 digits at most, and the headers of readContent"

EXEMPT: dict[str, str] = {
    "createProject": ONE_NAME,
    "renameProject": ONE_NAME,
    "transferCustody": ONE_NAME,
    "configurePreview": "a number, a choice and two booleans",
    "archiveCollection": NOTHING,
    "restoreCollection": NOTHING,
    "chooseCurrentCollection": NOTHING,
    "callOffPublication": NOTHING,
    "createUntitledProject": NOTHING,
    "readBalance": NOTHING,
    "reverseGrant": "two ids, an amount and two texts, each bounded",
    "refundJob": "two ids, an amount and two texts, each bounded",
    "setLimits": "three numbers of 64 digits at most",
    "setLimitsOfUser": "two numbers of 64 digits at most",
    "listWorkers": NOTHING,
    "followJob": "it answers in pages with a bound in bytes (tests/integration/generation/test_followers.py)",
    "listPublishedCollections": PAGED,
    "listAssetsOfComponent": PAGED,
    "listCollectionsOfProject": PAGED,
    "listEntries": PAGED,
    "listVisitors": PAGED,
    "listJobs": PAGED,
    "listGenerations": PAGED,
    "listProjects": PAGED,
    "listTokens": PAGED,
    "listRevisions": PAGED,
    "feed": PAGED,
    "getHistory": PAGED,
    "readHistory": PAGED,
    "readAsset": STORED,
    "readTokenImage": FILE,
    "readTokenAnimation": FILE,
    "readTokenThumbnail": FILE,
    "readContentByCid": FILE,
    "readContentByPath": "each name is looked up once, in blocks of a bounded size",
    "getCollection": STORED,
    "getPublicCollection": STORED,
    "getCurrentCollection": STORED,
    "getPackage": STORED,
    "getSeries": STORED,
    "cancelJob": NOTHING,
    "cancelPackage": NOTHING,
    "reportPin": "five texts, each bounded",
    "pauseJob": ONE_NAME,
    "unpauseJob": NOTHING,
    "deprecateWorkflow": ONE_NAME,
    "pauseWorkflow": ONE_NAME,
    "unpauseWorkflow": NOTHING,
    "fetchAsset": "a URL, which is bounded, and a file that is streamed",
    "describeModel": "five values, each bounded",
    "changeModel": "five values, each bounded",
    "listModels": "models are an operator's, and few",
    "listModelsOfWorkflow": "models are an operator's, and few",
    "listWorkflows": "workflows are an operator's, and few",
    "readWorkflow": "workflows are an operator's, and few",
}

NOT_PUBLIC = ("a worker's result is read",)
"""What takes data of workers, not of users."""
