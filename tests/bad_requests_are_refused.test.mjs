// Any bytes at any endpoint get a clear answer, and never end a process or a connection of somebody else.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor } from "./harness.mjs";

let upstream, stack, pids;

const standing = async () => (await stack.programs()).map((p) => `${p.name} ${p.pid} ${p.restarts}`).sort();

before(async () => {
	upstream = await startUpstream({ otherwise: reply("ok") });
	stack = await startStack({ upstream });
	pids = await standing();
});
after(async () => {
	try {
		if (stack)
			assert.deepEqual(await standing(), pids, "every program is still the one that was started");
	} finally {
		await stack?.stop();
		await upstream.close();
	}
});

const alive = async () => assert.equal((await stack.post("/api/v1/chat/session", { userId: "u" })).status, 200);

const endpoints = { session: "/api/v1/chat/session", message: "/api/v1/chat/message" };
const bytes = (...parts) => Buffer.concat(parts.map((p) => (typeof p === "string" ? Buffer.from(p, "latin1") : Buffer.from(p))));

const notJson = ["", " ", "\n", "{", "}", "[", "]", "{]", "[}", "{\"userId\"", "{\"userId\":", "{\"userId\":\"x\"", "{\"userId\":\"x\",}", "{'userId':'x'}",
	"{userId:\"x\"}", "{\"userId\":\"x\"}x", "{\"userId\":\"x\"}{}", "nul", "truefalse", "NaN", "{\"userId\":NaN}", "{\"userId\":Infinity}", "{\"userId\":undefined}",
	"{\"userId\":01}", "{\"userId\":+1}", "{\"userId\":.5}", "{\"userId\":1.}", "{\"userId\":0x10}", "{\"userId\":1e}", "{\"userId\":\"\t\"}", "{\"userId\":\"\n\"}",
	"{\"userId\":\"\\x41\"}", "{\"userId\":\"\\u12\"}", "{\"userId\":\"\\\"}", "\"", "\"\\", "/**/{\"userId\":\"x\"}", "{\"userId\":\"x\"} // c", "userId=x",
	"<xml/>", "--boundary", "\x00", "{\"userId\":\"x\"}\x00", "\x00{\"userId\":\"x\"}", "{\"userId\":\"a\x00b\"}", "\x1f\x8b\x08\x00",
	"\xef\xbb\xbf", "\xff\xfe{\x00}\x00", "{\"userId\" \"x\"}", "{\"userId\"::\"x\"}", "{,}", "[,]", "{\"a\":1,,\"b\":2}", "{1:2}", "{null:1}", "(1)", "{\"userId\":\"x\"]",
	"{\"userId\":--1}", "\u0085{}", "{\"userId\":\"x\"\u00a0}", "\x0c{}", "\x0b{}"];
const badUtf8 = ["\xff", "\xfe", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
	"\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x99", "\xc3\x28", "\xe2\x28\xa1", "a\x80b", "\xc3\xc3"];
const notObject = ["null", "true", "false", "0", "-1.5e3", "\"userId\"", "[]", "[{\"userId\":\"x\"}]", "[[]]", "\"\"", "1e5"];

for (const [name, target] of Object.entries(endpoints)) {
	test(`${name}: what is not JSON is 400`, async () => {
		for (const body of notJson)
			assertProblem(await stack.call("POST", target, { body: bytes(body), headers: { "content-type": "application/json" } }), 400, undefined, JSON.stringify(body));
		await alive();
	});

	test(`${name}: invalid UTF-8 is 400, in values, names and around`, async () => {
		for (const bad of badUtf8)
			for (const body of [bytes('{"userId":"', bad, '","sessionId":"x","message":"y"}'), bytes('{"', bad, '":1,"userId":"x"}'), bytes(bad, "{}"), bytes("{}", bad)])
				assertProblem(await stack.call("POST", target, { body }), 400, undefined, body.toString("hex"));
		await alive();
	});

	test(`${name}: JSON that is not an object is 400`, async () => {
		for (const body of notObject)
			assertProblem(await stack.call("POST", target, { body }), 400, undefined, body);
		await alive();
	});

	test(`${name}: NUL, lone surrogates, duplicate names, depth and numbers without end are 400`, async () => {
		const deep = (n, open, close) => open.repeat(n) + close.repeat(n);
		const bodies = [
			...["\\u0000", "a\\u0000b", "\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800\\u0041", "x\\udfff"].flatMap((s) => [
				`{"userId":"${s}","sessionId":"s","message":"m"}`, `{"userId":"u","sessionId":"${s}","message":"m","metadata":{"k":"${s}"}}`,
				`{"userId":"u","sessionId":"s","message":"${s}","metadata":{"${s}":1}}`]),
			'{"userId":"a","userId":"b","sessionId":"s","message":"m"}', '{"userId":"a","metadata":{"k":1,"k":2},"sessionId":"s","message":1,"message":"m"}',
			'{"userId":"a","user\\u0049d":"b","sessionId":"s","message":"m"}',
			`{"userId":"a","sessionId":"s","message":"m","metadata":${deep(40, "[", "]")}}`,
			`{"userId":"a","sessionId":"s","message":"m","metadata":{"a":${deep(60_000, "[", "]")}}}`,
			`{"userId":"a","sessionId":"s","message":"m","metadata":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`,
			deep(100_000, "[", "]"), "[".repeat(200_000), '{"a":'.repeat(40_000),
			`{"userId":"a","sessionId":"s","message":"m","metadata":{"a":[${"0,".repeat(100_000)}0]}}`,
		];
		for (const body of bodies) {
			const res = await stack.call("POST", target, { body });
			// A message to the session "s" may as well be told that there is none.
			assertProblem(res, name === "message" ? [400, 404, 413] : [400, 413], undefined, body.slice(0, 120));
		}
		await alive();
	});

	test(`${name}: too much is 413`, async () => {
		for (const size of [300 * 1024, 1024 * 1024 + 1, 8 * 1024 * 1024]) {
			const body = JSON.stringify({ userId: "u", sessionId: "s", message: "m", metadata: { a: "x".repeat(size) } });
			const res = await stack.call("POST", target, { body }).catch((error) => error);
			if (res instanceof Error)	// closed while we were still sending: a client sees the answer if it reads first
				assert.ok(["ECONNRESET", "EPIPE"].includes(res.code), res.code);
			else
				assertProblem(res, 413, undefined, String(size));
		}
		const res = await stack.raw(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n`, { ms: 500 });
		assert.match(res, /^HTTP\/1\.1 413/);
		assert.match(res, /application\/problem\+json/);
		await alive();
	});

	test(`${name}: another content type is 415`, async () => {
		for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "application/jsonp", "json", "*/*",
			"text/json; application/json", "application/json,text/plain", "\"application/json\""])
			assertProblem(await stack.call("POST", target, { body: '{"userId":"u"}', headers: { "content-type": type } }), 415, undefined, type);
		const bare = await stack.raw(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`);
		assert.match(bare, /^HTTP\/1\.1 (?:400|415)/);
		for (const type of ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/json ; x=y"]) {
			const res = await stack.call("POST", target, { body: '{"userId":"u"}', headers: { "content-type": type } });
			assert.equal(res.status, name === "session" ? 200 : 400, type);
		}
	});

	test(`${name}: a compressed body is refused`, async () => {
		for (const encoding of ["gzip", "br", "deflate", "zstd", "nonsense"]) {
			assertProblem(await stack.call("POST", target, { body: bytes("\x1f\x8b\x08\x00\x00"), headers: { "content-encoding": encoding } }), 415, /Content-Encoding/, encoding);
			assertProblem(await stack.call("POST", target, { body: '{"userId":"u"}', headers: { "content-encoding": encoding } }), 415, /Content-Encoding/, `${encoding}, which it is not`);
		}
	});
}

test("wrong types, lengths and characters of every field are 4xx", async () => {
	const sessionId = await stack.session();
	const values = [0, 1, -1, 1.5, 1e300, true, false, [], [[]], ["x"], {}, { a: {} }, { $gt: "" }, { length: 5 }, { toString: "x" }, "", null];
	const long = ["x".repeat(20_000), "x".repeat(200_000), "é".repeat(100_000)];
	const whole = { sessionId, message: "hello", userId: "visitor-1" };
	for (const field of Object.keys(whole))
		for (const value of [...values, ...long])
			assertProblem(await stack.post("/api/v1/chat/message", { ...whole, [field]: value }), [400, 403, 404, 413], undefined, `${field} ${JSON.stringify(value).slice(0, 50)}`);
	for (const value of [...values.filter((v) => v !== null && v !== ""), ...long])
		assertProblem(await stack.post("/api/v1/chat/message", { ...whole, clientMessageId: value }), [400, 413], undefined, `clientMessageId ${JSON.stringify(value).slice(0, 50)}`);
	for (const value of [...values, ...long])
		assertProblem(await stack.post("/api/v1/chat/session", { userId: value }), [400, 413], undefined, `userId ${JSON.stringify(value).slice(0, 50)}`);
	for (const value of [0, 1, "x", true, [], [{}]])
		assertProblem(await stack.post("/api/v1/chat/session", { userId: "u", metadata: value }), 400, undefined, `metadata ${JSON.stringify(value)}`);
	assertProblem(await stack.message(sessionId, "   \n\t "), 400);
	assert.deepEqual(await stack.history(sessionId), [], "nothing was stored");
});

test("strange session ids are 404 and touch nothing", async () => {
	for (const id of ["*", "?", "[a]", "..", ".", "../../etc/passwd", "c:{0}:x", "x\r\nFLUSHALL\r\n", "${jndi:x}", "%s%s%n", "' OR 1=1", "\u202e", "__proto__", "constructor",
		"null", "undefined", "0", "-1", " ", "a b", "ü", "🙂", "A".repeat(43), "A".repeat(1000)]) {
		assertProblem(await stack.message(id, "hi"), [400, 404], undefined, id);
		assertProblem(await stack.get(`/api/v1/chat/history/${encodeURIComponent(id)}`), [400, 404], undefined, id);
	}
	await alive();
});

test("other methods are 405 and say which are allowed", async () => {
	const allowed = { "/api/v1/chat/session": "POST", "/api/v1/chat/message": "POST", "/api/v1/chat/history/AAAAAAAAAAAAAAAAAAAAAAAA": "GET",
		"/health": "GET", "/api/v1/health": "GET", "/ready": "GET" };
	for (const [target, right] of Object.entries(allowed))
		for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "REPORT", "LOCK"].filter((m) => m !== right)) {
			const res = await stack.call(method, target, { body: method === "GET" ? undefined : "{}" });
			assertProblem(res, 405, undefined, `${method} ${target}`);
			assert.match(res.headers.allow ?? "", new RegExp(`\\b${right}\\b`), `${method} ${target}`);
		}
	for (const line of ["TRACE / HTTP/1.1", "TRACE /api/v1/chat/session HTTP/1.1", "CONNECT x:1 HTTP/1.1", "FOO /api/v1/chat/session HTTP/1.1", "get /health HTTP/1.1",
		"G\x00ET / HTTP/1.1", `${"M".repeat(5000)} / HTTP/1.1`, " GET / HTTP/1.1", "GET  /health HTTP/1.1 ", "GET /health", "GET /health HTTP/9.9", "GET /health HTTP/1.1x", "PRI * HTTP/2.0"])
		assert.doesNotMatch(await stack.raw(`${line}\r\nHost: x\r\nConnection: close\r\n\r\n`, { ms: 300 }), /^HTTP\/1\.1 5(?!01|05)/, line);
	await alive();
});

test("unknown places are 404 as a problem", async () => {
	for (const target of ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/chat", "/api/v1/chat/", "/api/v1/chat/nothing", "/api/v2/chat/session", "/api/v1/chat/session/x",
		"/api/v1/chat/history", "/api/v1/chat/history/", "/api/v1/chat/history/a/b", "/api/v1/healthx", "/api/v1/chat/SESSION", "/api/v1/chat/session%00", "/api/v1/chat/session%2f",
		"/api/v1/chat/message/../admin", "/push/event", "/push", "/api/v1/chat/%ff%fe", "/api/v1/chat/%2e%2e%2f%2e%2e%2fetc/passwd"]) {
		const res = await stack.post(target, { userId: "u" });
		assertProblem(res, [404, 405, 400], undefined, target);
		assertProblem(await stack.get(target), [404, 405, 400], undefined, target);
	}
	for (const target of ["/nothing", "/.env", "/.git/config", "/index.php", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/a%00b", "/wp-admin/"])
		assertProblem(await stack.get(target), [404, 400, 403], undefined, target);
	for (const target of [`/${"a".repeat(7000)}`, `/?${"q".repeat(7000)}`, `/${"a".repeat(70_000)}`])
		assert.ok([200, 400, 404, 414].includes((await stack.get(target).catch(() => ({ status: 400 }))).status));
	await alive();
});

test("the private door of pushd cannot be reached from outside", async () => {
	const body = { kind: "connect", socket: "x", nsp: "/", auth: {} };
	for (const target of ["/push/event", "//push/event", "/./push/event", "/push//event", "/api/../push/event", "/%70ush/event", "/socket.io/../push/event"])
		assertProblem(await stack.post(target, body), [400, 403, 404, 405], undefined, target);
});

test("broken HTTP is answered or closed, nothing worse", async () => {
	const post = "POST /api/v1/chat/session HTTP/1.1\r\nHost: x\r\n";
	const json = "Content-Type: application/json\r\n";
	const cases = ["\r\n\r\n\r\n", "\x00\x00\x00\x00", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HELO x\r\n", "*1\r\n$4\r\nPING\r\n", "GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\x00y\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", "GET / HTTP/1.1\r\nHost x\r\n\r\n",
		`GET / HTTP/1.1\r\nHost: x\r\nA: ${"b".repeat(100_000)}\r\n\r\n`, `GET / HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(20_000)}\r\n`,
		`${post}${json}Content-Length: -1\r\n\r\n`, `${post}${json}Content-Length: abc\r\n\r\n{}`, `${post}${json}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x`,
		`${post}${json}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, `${post}${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
		`${post}${json}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`, `${post}${json}Transfer-Encoding: gzip\r\n\r\n`, `${post}${json}Content-Length: 100\r\n\r\n{"userId":`,
		`${post}${json}Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}`, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
		"POST /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"];
	for (const text of cases) {
		const res = await stack.raw(Buffer.from(text, "latin1"), { ms: 300 });
		assert.doesNotMatch(res, /^HTTP\/1\.[01] 50[0234]/, JSON.stringify(text.slice(0, 200)));
		assert.doesNotMatch(res, /^HTTP\/1\.1 101/, JSON.stringify(text.slice(0, 200)));
		assert.doesNotMatch(res, /nginx\/\d/);
	}
	await alive();
});

test("a chunked body is as good as any", async () => {
	const res = await stack.raw("POST /api/v1/chat/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
		+ "8\r\n{\"userId\r\n8\r\n\":\"u-1\"}\r\n0\r\n\r\n");
	assert.match(res, /^HTTP\/1\.1 200/);
	assert.match(res, /"sessionId"/);
});

test("strange headers are taken or refused, never fatal", async () => {
	const sessionId = await stack.session();
	const odd = { "last-event-id": ["\t", "-", "9".repeat(5000), "é"], "idempotency-key": ["", " ", "\"", "a".repeat(255), "a".repeat(4000), "é\xff"],
		accept: ["", ",", ";;;", "text/event-stream;q=", "a/b/c", "*", "x".repeat(4000), "text/event-stream;q=0"], origin: ["", "null,null", "x".repeat(4000), "http://[::1", "javascript:1"],
		"x-request-id": ["", "a b", "x".repeat(4000), "../..", "\"", "é"], "x-forwarded-for": ["unknown", "1.2.3", "::::", "1.1.1.1,".repeat(500)], traceparent: ["x", "00-0-0-0", "00-" + "0".repeat(32) + "-" + "0".repeat(16) + "-00"],
		host: ["", "a b", "x".repeat(300), "..", "[::1"], cookie: ["x".repeat(7000), "=;=;"], "user-agent": ["", "\xff\xfe"], "content-language": ["\xff"] };
	for (const [header, values] of Object.entries(odd))
		for (const value of values) {
			const res = await stack.message(sessionId, "hi", {}, { [header]: Buffer.from(value, "latin1").toString("latin1") }).catch((error) => error);
			if (res instanceof Error)
				assert.ok(["ERR_INVALID_CHAR", "ECONNRESET", "HPE_INVALID_HEADER_TOKEN", "EPIPE"].includes(res.code), `${header}: ${res.code}`);
			else
				assert.ok(res.status < 500, `${header}: ${JSON.stringify(value.slice(0, 40))} → ${res.status} ${res.text.slice(0, 200)}`);
		}
	await alive();
});

test("clients that stop in the middle hold nobody up", async () => {
	const half = ["", "G", "POST /api/v1/chat/session HTTP/1.1\r\nHost: x\r\n", "POST /api/v1/chat/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"us",
		"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n"];
	const { port } = new URL(stack.url);
	const sockets = [];
	let refused = 0;
	for (let i = 0; i < 3000; i++) {
		const socket = net.connect(Number(port), "127.0.0.1");
		socket.on("error", () => { refused++; });
		socket.write(half[i % half.length]);
		sockets.push(socket);
	}
	await waitFor("they are all there", () => sockets.every((s) => !s.connecting || s.destroyed));
	const start = Date.now();
	for (let i = 0; i < 20; i++)
		await alive();
	assert.ok(Date.now() - start < 20_000);
	const client = await stack.client();
	assert.ok(await client.join());
	for (const socket of sockets)
		socket.destroy();
	assert.ok(refused < 3000);
	await alive();
});

test("random bytes", async () => {
	let seed = 20260131;
	const random = () => {
		seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
		return seed / 2 ** 32;
	};
	const good = Buffer.from('{"sessionId":"AAAA","message":"hello \\u00fc","userId":"visitor-1","clientMessageId":"c1","metadata":{"a":[1,2,{"b":null}]}}');
	for (let i = 0; i < 600; i++) {
		const body = Buffer.from(good);
		for (let j = 0; j < 1 + random() * 4; j++)
			body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
		const res = await stack.call("POST", i % 2 ? endpoints.message : endpoints.session, { body: body.subarray(0, Math.ceil(random() * body.length)) });
		assert.ok(res.status === 200 || (res.status >= 400 && res.status < 500), `${body.toString("hex")} → ${res.status}`);
		if (res.status !== 200)
			assertProblem(res, res.status);
	}
	await alive();
});
