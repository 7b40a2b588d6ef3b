"""Signatures for the object storage against AWS's own example and against botocore."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.nginx import LUA
from recorder.edges import day_key
from tests.unit.nginx_rtmp.luajit import LuaJit

ACCESS = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture(scope="module")
def sigv4() -> Iterator[LuaJit]:
    # nginx brings libcrypto with it; here somebody has to.
    ctypes.CDLL("libcrypto.so.3", mode=ctypes.RTLD_GLOBAL)
    lua = LuaJit(LUA / "rules.lua")
    lua.run(f"package.path = {json.dumps(f'{LUA}/?.lua')}")
    lua.run('module, crypto = require("sigv4"), require("crypto")')
    yield lua
    lua.close()


def authorization(
    lua: LuaJit, method: str, host: str, path: str, time: str, region: str, key: bytes
) -> str:
    words = ", ".join(json.dumps(word) for word in (method, host, path, time, ACCESS, region))
    found = lua.run(f'return module.authorization({words}, crypto.unhex("{key.hex()}"))')
    assert found is not None
    return found


def test_the_key_of_a_day() -> None:
    # docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html signs with this one.
    key = day_key(SECRET, datetime(2013, 5, 24), "us-east-1")
    assert key.hex() == "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378"


def test_rfc_4231(sigv4: LuaJit) -> None:
    found = sigv4.run('return crypto.hex(crypto.hmac("Jefe", "what do ya want for nothing?"))')
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sigv4.run('return crypto.hex(crypto.sha256(""))') == EMPTY
    assert sigv4.run('return tostring(crypto.same("abc", "abc"))') == "true"
    for other in ("abd", "ab", "abcd", ""):
        assert sigv4.run(f'return tostring(crypto.same("abc", "{other}"))') == "false"


@settings(max_examples=50)
@given(
    path=st.from_regex(r"/[a-z0-9-]{3,12}(/[A-Za-z0-9._~-]{1,12}){1,4}", fullmatch=True),
    host=st.from_regex(r"[a-z0-9.-]{1,20}[a-z](:[1-9][0-9]{1,4})?", fullmatch=True),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_as_botocore_signs(
    sigv4: LuaJit, path: str, host: str, region: str, at: datetime, method: str
) -> None:
    time = at.strftime("%Y%m%dT%H%M%SZ")
    request = AWSRequest(method, f"http://{host}{path}", headers={"Host": host})
    with mock.patch("botocore.auth.get_current_datetime", return_value=at, create=True):
        signer = S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", region)
        request.context["timestamp"] = time
        request.headers["X-Amz-Date"] = time
        request.headers["X-Amz-Content-SHA256"] = EMPTY
        signature = signer.signature(
            signer.string_to_sign(request, signer.canonical_request(request)), request
        )
    key = day_key(SECRET, at.replace(tzinfo=UTC).date(), region)
    found = authorization(sigv4, method, host, path, time, region, key)
    assert found.endswith(f",Signature={signature}")
    assert f"Credential={ACCESS}/{time[:8]}/{region}/s3/aws4_request," in found
