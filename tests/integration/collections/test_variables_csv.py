"""Tables of variables over HTTP."""

from services.collections.routes.variables import MAX_TABLE
from tests.support.apps.client import BOB
from tests.support.apps.collections import Api, two_steps


async def test_a_table_of_variables_is_accepted_back(api: Api):
    """The same table changes nothing; another one is an edit."""
    collection = await api.create({"data": two_steps()})
    path = f"/collections/{collection['id']}/variables.csv"
    table = await api.text(path)
    assert table.splitlines() == [
        "name,type,value_type,lock_value,test_value,value,display_name,weight,more",
        "style,pick,strings,false,noir,noir,Noir,1,",
    ]
    csv = {"Content-Type": "text/csv"}
    unchanged = await api.send("PUT", path, data=table.encode(), headers=csv)
    assert (unchanged.status, unchanged.headers["etag"]) == (204, '"2"')
    more = table + ",,,,,pop,Pop,3,\r\n"
    assert (await api.send("PUT", path, data=more.encode(), headers=csv)).headers["etag"] == '"3"'
    (variable,) = (await api.get(f"/collections/{collection['id']}")).data["data"]["variables"]
    assert variable["value"] == {"display_names": ["Noir", "Pop"], "values": ["noir", "pop"], "weights": [1, 3]}
    assert await api.text(path) == more


async def test_invalid_tables_are_refused_and_change_nothing(api: Api):
    collection = await api.create({"data": two_steps()})
    path, csv = f"/collections/{collection['id']}/variables.csv", {"Content-Type": "text/csv"}
    head = await api.store.head()
    for table, pointers in (
        (b"name,colour\n", ["/1"]),
        (b"name,type\n\xff,text\n", [""]),
        (b"name,type,value\nstyle,pick,a\nb,choice,c\n", ["/data/variables/1/type"]),
        (b"name,type\nother,text\n", ["/data/steps/0/nodePayload/prompt"]),
    ):
        refused = await api.send("PUT", path, data=table, headers=csv)
        assert refused.code == (400, "VALIDATION_FAILED")
        assert refused.pointers == pointers
    assert (await api.send("PUT", path, json=[])).code == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await api.send("PUT", path, BOB, data=b"name,type\n", headers=csv)).code == (404, "NOT_FOUND")
    assert (await api.get(path, BOB)).code == (404, "NOT_FOUND")
    assert await api.store.head() == head


async def test_a_text_of_any_accepted_length_is_returned(api: Api):
    """Longer than the csv module's default of 131,072 characters; the collection's own bound applies."""
    collection = await api.create({"data": two_steps()})
    path, csv = f"/collections/{collection['id']}/variables.csv", {"Content-Type": "text/csv"}
    before = await api.text(path)
    for length in (131_072, 131_073, 400_000):
        table = before + f"long,text,,,,{'x' * length},,,\r\n"
        assert (await api.send("PUT", path, data=table.encode(), headers=csv)).status == 204
        assert await api.text(path) == table
    head = await api.store.head()
    table = before + "long,text,,,,"
    table += "y" * (MAX_TABLE - len(table))
    refused = await api.send("PUT", path, data=table.encode(), headers=csv)
    assert (refused.code, refused.pointers) == ((400, "VALIDATION_FAILED"), ["/data"])
    refused = await api.send("PUT", path, data=b"y" * (MAX_TABLE + 1), headers=csv)
    assert refused.code == (413, "PAYLOAD_TOO_LARGE")
    assert await api.store.head() == head
