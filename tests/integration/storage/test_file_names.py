"""Under which name a file is shown or saved."""

from urllib.parse import quote, unquote

from tests.support.apps.storage import Api


async def test_a_file_is_shown_or_saved_under_its_name(api: Api):
    """With a name in ASCII for clients that don't know RFC 8187."""
    for name, plain, encoded in (
        ("a.png", "a.png", "a.png"),
        ("e\u0301 é.png", "e_ _.png", "e%CC%81%20%C3%A9.png"),
        ("50% 'of' (a).png", "50_ 'of' (a).png", "50%25%20%27of%27%20%28a%29.png"),
    ):
        path = f"/assets/{(await api.upload(b'x', quote(name))).data['id']}/content"
        for query, kind in (("", "inline"), ("?download=false", "inline"), ("?download=true", "attachment")):
            value = (await api.get(path + query)).headers["content-disposition"]
            assert value == f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}", name
            assert unquote(value.rpartition("''")[2]) == name
    refused = await api.get(f"{path}?download=yes")
    assert refused.refusal == (400, "VALIDATION_FAILED", ["?download"])
