"""Keyward as a client sees it whose code Google's grpcio-tools made: all ways to ask, every reason, errors with details.

Run with the Python of scripts/ensure-python-client. INTEROP_AUTHORIZE and INTEROP_ADMIN are the listeners of a Keyward that nobody
else uses, KEYWARD_TOKEN is its root admin key.
"""

import asyncio
import itertools
import os
import unittest

import grpc
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf import timestamp_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from keyward.v1 import (access_admin_pb2, access_admin_pb2_grpc, authorize_pb2, authorize_pb2_grpc, insight_pb2,
                        insight_pb2_grpc, job_pb2, key_admin_pb2, key_admin_pb2_grpc, limit_pb2)

SECONDS_MAX = 10
AUTHORIZE = os.environ["INTEROP_AUTHORIZE"]
ADMIN = os.environ["INTEROP_ADMIN"]
CALLER = (("authorization", f"Bearer {os.environ['KEYWARD_TOKEN']}"),)

to_authorize = grpc.insecure_channel(AUTHORIZE)
to_admin = grpc.insecure_channel(ADMIN)
authorize = authorize_pb2_grpc.AuthorizeStub(to_authorize)
envoy = external_auth_pb2_grpc.AuthorizationStub(to_authorize)
keys = key_admin_pb2_grpc.KeyAdminStub(to_admin)
access = access_admin_pb2_grpc.AccessAdminStub(to_admin)
insight = insight_pb2_grpc.InsightStub(to_admin)
Reason = authorize_pb2.Reason
revision = 0


def call(method, request):
    """An admin call; decisions wait for what it has changed."""
    global revision
    answer = method(request, metadata=CALLER, timeout=SECONDS_MAX)
    revision = max(revision, getattr(answer, "revision", 0))
    return answer


def make(**fields):
    """A new key that may read systems, or what else is said: its token and its id."""
    fields = {"environment": "production", "display_name": "Interop", "permissions": ["systems.read"], **fields}
    made = call(keys.CreateKey, key_admin_pb2.CreateKeyRequest(**fields))
    return made.token, made.key.id


def question(key, **fields):
    """May this key read systems? Or what else is said."""
    fields = {"environment": "production", "permission": "systems.read", "min_revision": revision, **fields}
    return authorize_pb2.AuthorizeRequest(key=key, **fields)


def ask(key, **fields):
    """The answer to one call."""
    return authorize.Authorize(question(key, **fields), timeout=SECONDS_MAX)


def failure(function):
    """The code and the details of the error that a call ends with."""
    try:
        function()
    except grpc.RpcError as error:
        return error.code(), details(error)
    raise AssertionError("the call did not fail")


def details(error):
    """The messages in an error, by their type."""
    found = {}
    for detail in rpc_status.from_call(error).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            message = kind()
            if detail.Unpack(message):
                found[kind.__name__] = message
    return found


class Deciding(unittest.TestCase):
    """The three ways to ask."""

    def setUp(self):
        self.token, self.id = make()
        self.questions = [question(self.token), question(self.token, environment="staging"), question("nothing of ours")]
        self.expected = [Reason.REASON_UNSPECIFIED, Reason.REASON_ENVIRONMENT_MISMATCH, Reason.REASON_KEY_UNKNOWN]

    def test_a_call_says_who_may(self):
        answer = ask(self.token)
        self.assertTrue(answer.allowed)
        self.assertEqual((answer.http_status, answer.key_id, answer.domain), (200, self.id, "default"))

    def test_a_batch_is_answered_in_its_order(self):
        answer = authorize.BatchAuthorize(authorize_pb2.BatchAuthorizeRequest(requests=self.questions * 300), timeout=SECONDS_MAX)
        self.assertEqual([one.reason for one in answer.responses], self.expected * 300)

    def test_a_stream_is_answered_in_its_order(self):
        answers = authorize.StreamAuthorize(iter(self.questions * 500), timeout=SECONDS_MAX)
        self.assertEqual([one.reason for one in answers], self.expected * 500)

    def test_a_stream_answers_before_it_ends(self):
        async def converse():
            async with grpc.aio.insecure_channel(AUTHORIZE) as channel:
                stream = authorize_pb2_grpc.AuthorizeStub(channel).StreamAuthorize(timeout=SECONDS_MAX)
                for one, reason in zip(self.questions, self.expected):
                    await stream.write(one)
                    self.assertEqual((await stream.read()).reason, reason)
                await stream.done_writing()
                self.assertIs(await stream.read(), grpc.aio.EOF)

        asyncio.run(converse())

    def test_calls_at_once_do_not_mix(self):
        async def at_once():
            async with grpc.aio.insecure_channel(AUTHORIZE) as channel:
                stub = authorize_pb2_grpc.AuthorizeStub(channel)
                asked = itertools.islice(itertools.cycle(self.questions), 300)
                answers = await asyncio.gather(*[stub.Authorize(one, timeout=SECONDS_MAX) for one in asked])
                self.assertEqual([one.reason for one in answers], self.expected * 100)
                batch = await stub.BatchAuthorize(authorize_pb2.BatchAuthorizeRequest(requests=self.questions), timeout=SECONDS_MAX)
                self.assertEqual([one.reason for one in batch.responses], self.expected)

        asyncio.run(at_once())

    def test_a_reservation_is_settled(self):
        token, _ = make(limits=[limit_pb2.Limit(name="day", quota=limit_pb2.Quota(limit=100, period=limit_pb2.QUOTA_PERIOD_DAY))])
        reserved = ask(token, mode=authorize_pb2.MODE_RESERVE, cost=40)
        self.assertEqual(reserved.limits[0].remaining, 60)
        settled = authorize.Settle(authorize_pb2.SettleRequest(reservation=reserved.reservation.id, actual_cost=10), timeout=SECONDS_MAX)
        self.assertEqual(settled.difference, -30)
        self.assertEqual(ask(token, cost=0).limits[0].remaining, 90)


class Reasons(unittest.TestCase):
    """Every reason of a denial, and what it is in HTTP."""

    def test_every_reason_is_told(self):
        seen = {answer.reason: answer.http_status for answer in self.denials()}
        seen[self.ambiguous()] = 401
        seen.update(self.throttled())
        expected = {reason: status for reason, status in HTTP.items() if reason != Reason.REASON_UNSPECIFIED}
        self.assertEqual(named(seen), named(expected))

    def denials(self):
        """Answers that deny, one for each reason that a single question can meet."""
        good, _ = make()
        yield ask("")
        yield ask("kw_prod_nonsense")
        yield ask("nothing of ours")
        yield ask(good, environment="staging")
        yield ask(good, permission="systems.write")
        yield ask(make(allowed_addresses=["192.0.2.0/24"])[0], client_address="198.51.100.7")
        yield ask(make(customers=["seven"])[0], customer="eight")
        yield ask(make(route_rules=["/api"])[0], route="/other")
        yield ask(make(not_before_time=timestamp_pb2.Timestamp(seconds=4_000_000_000))[0])
        token, key_id = make()
        past = key_admin_pb2.Key(id=key_id, expire_time=timestamp_pb2.Timestamp(seconds=1))
        change = key_admin_pb2.UpdateKeyRequest(key=past)
        change.update_mask.paths.append("expire_time")
        call(keys.UpdateKey, change)
        yield ask(token)
        token, key_id = make()
        call(keys.DeactivateKey, key_admin_pb2.DeactivateKeyRequest(id=key_id))
        yield ask(token)
        user = access_admin_pb2.User(id="ida", kind=access_admin_pb2.USER_KIND_PERSON, display_name="Ida", permissions=["systems"])
        call(access.CreateUser, access_admin_pb2.CreateUserRequest(user=user))
        token, _ = make(user="ida")
        call(access.DisableUser, access_admin_pb2.DisableUserRequest(id="ida"))
        yield ask(token)
        call(access.CreateDomain, access_admin_pb2.CreateDomainRequest(domain=access_admin_pb2.Domain(name="acme", display_name="Acme")))
        token, _ = make(domain="acme")
        call(access.DisableDomain, access_admin_pb2.DisableDomainRequest(name="acme"))
        yield ask(token)
        yield from self.limited()

    def limited(self):
        """One denial by each kind of limit."""
        rate = limit_pb2.RateLimit(limit=1)
        rate.period.FromSeconds(3600)
        for limit in (limit_pb2.Limit(name="rate", rate=rate),
                      limit_pb2.Limit(name="quota", quota=limit_pb2.Quota(limit=1, period=limit_pb2.QUOTA_PERIOD_MONTH)),
                      limit_pb2.Limit(name="open", concurrency=limit_pb2.ConcurrencyLimit(limit=1))):
            token, _ = make(limits=[limit])
            self.assertTrue(ask(token, mode=authorize_pb2.MODE_RESERVE).allowed)
            denied = ask(token, mode=authorize_pb2.MODE_RESERVE)
            self.assertEqual([state.name for state in denied.limits if state.exceeded], [limit.name])
            yield denied

    def ambiguous(self):
        """Only a proxy can tell of two keys."""
        http = {"method": "GET", "path": "/", "headers": {"x-api-key": "one", "authorization": "Bearer two"}}
        request = external_auth_pb2.CheckRequest(attributes={
            "request": {"http": http}, "context_extensions": {"environment": "production", "permission": "systems.read"}})
        answer = envoy.Check(request, timeout=SECONDS_MAX)
        self.assertEqual(answer.denied_response.status.code, 401)
        return Reason.Value("REASON_" + answer.dynamic_metadata["reason"].removeprefix("REASON_"))

    def throttled(self):
        """After 60 tries with bad keys an address is not listened to."""
        asked = [question("nothing of ours", client_address="203.0.113.9")] * 100
        answer = authorize.BatchAuthorize(authorize_pb2.BatchAuthorizeRequest(requests=asked), timeout=SECONDS_MAX)
        last = answer.responses[-1]
        self.assertGreater(last.retry_after.ToTimedelta().total_seconds(), 0)
        return {last.reason: last.http_status}


HTTP = {reason: 403 if name in ("ADDRESS_DENIED", "CUSTOMER_DENIED", "ROUTE_DENIED", "PERMISSION_DENIED")
        else 429 if name in ("RATE_LIMITED", "QUOTA_EXHAUSTED", "CONCURRENCY_EXCEEDED", "FAILURES_THROTTLED") else 401
        for reason, name in ((reason, Reason.Name(reason).removeprefix("REASON_")) for reason in Reason.values())}


def named(statuses):
    """With names in place of numbers, for people who read that a test failed."""
    return {Reason.Name(reason): status for reason, status in statuses.items()}


class Errors(unittest.TestCase):
    """What is no answer says why, for programs."""

    def test_a_malformed_question_names_its_field(self):
        code, found = failure(lambda: ask("whatever", client_address="nowhere"))
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual([violation.field for violation in found["BadRequest"].field_violations], ["client_address"])

    def test_a_revision_that_is_not_there_is_no_denial(self):
        code, found = failure(lambda: ask("whatever", min_revision=1 << 40))
        self.assertEqual((code, found["ErrorInfo"].reason), (grpc.StatusCode.UNAVAILABLE, "REVISION_NOT_REACHED"))

    def test_all_bad_fields_are_named_at_once(self):
        request = key_admin_pb2.CreateKeyRequest(environment="nowhere", display_name=" ", permissions=["No"])
        code, found = failure(lambda: call(keys.CreateKey, request))
        fields = [violation.field for violation in found["BadRequest"].field_violations]
        self.assertEqual((code, len(fields) >= 2), (grpc.StatusCode.INVALID_ARGUMENT, True), fields)

    def test_what_is_not_there_has_a_reason(self):
        request = key_admin_pb2.GetKeyRequest(id="key_00000000000000000000000000")
        code, found = failure(lambda: call(keys.GetKey, request))
        info = found["ErrorInfo"]
        self.assertEqual((code, info.domain, info.reason), (grpc.StatusCode.NOT_FOUND, "keyward", "KEY_NOT_FOUND"))

    def test_who_is_no_admin_is_told_so(self):
        token, _ = make()
        metadata = (("authorization", f"Bearer {token}"),)
        for caller in (None, metadata):
            code, _ = failure(lambda: keys.ListKeys(key_admin_pb2.ListKeysRequest(), metadata=caller, timeout=SECONDS_MAX))
            self.assertEqual(code, grpc.StatusCode.UNAUTHENTICATED)

    def test_an_admin_key_that_may_not_is_told_so(self):
        token, _ = make(domain="keyward", permissions=["keyward.keys.read"])
        metadata = (("authorization", f"Bearer {token}"),)
        request = key_admin_pb2.CreateKeyRequest(environment="production", display_name="No")
        code, found = failure(lambda: keys.CreateKey(request, metadata=metadata, timeout=SECONDS_MAX))
        self.assertEqual((code, found["ErrorInfo"].domain), (grpc.StatusCode.PERMISSION_DENIED, "keyward"))


class Streams(unittest.TestCase):
    """Streams of the admin listener."""

    def test_an_import_becomes_keys(self):
        sent = [key_admin_pb2.ImportKeysRequest(options={"environment": "production", "permissions": ["systems.read"]})]
        sent += [key_admin_pb2.ImportKeysRequest(items=[{"display_name": f"Old {n}", "token": f"another-systems-token-{n}"}])
                 for n in range(20)]
        answers = list(keys.ImportKeys(iter(sent), metadata=CALLER, timeout=SECONDS_MAX))
        self.assertEqual(answers[-1].received, 20)
        request = job_pb2.WatchJobRequest(id=answers[-1].job.id)
        last = list(insight.WatchJob(request, metadata=CALLER, timeout=SECONDS_MAX))[-1].job
        self.assertEqual((last.state, last.done), (job_pb2.JOB_STATE_SUCCEEDED, 20))
        self.assertTrue(ask("another-systems-token-7", min_revision=0).allowed)

    def test_a_denial_is_seen_by_who_watches(self):
        token, key_id = make()
        request = insight_pb2.WatchDecisionsRequest(filter={"key_id": key_id})
        watched = insight.WatchDecisions(request, metadata=CALLER, timeout=SECONDS_MAX)
        # The first message says that what comes now is shown.
        next(watched)
        denied = ask(token, permission="systems.write")
        seen = next(one for message in watched for one in message.decisions)
        watched.cancel()
        self.assertEqual((seen.decision_id, seen.reason), (denied.decision_id, Reason.REASON_PERMISSION_DENIED))


if __name__ == "__main__":
    unittest.main(verbosity=2)
