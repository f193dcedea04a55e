// FRONTEND_URL: who may call from a page elsewhere; the same on REST, long-polling and WebSocket.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import WebSocket from "ws";
import { startStack, assertProblem } from "./harness.mjs";

const shop = "https://shop.example";
const other = "http://intranet.example:8081";
const foreign = "https://evil.example";

const upgrade = (stack, origin) => new Promise((resolve) => {
	const socket = new WebSocket(`${stack.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, { headers: origin ? { origin } : {} });
	socket.on("unexpected-response", (req, res) => {
		res.resume();
		socket.terminate();
		resolve(res.statusCode);
	});
	socket.on("message", () => {
		resolve(101);
		socket.terminate();
	});
	socket.on("error", () => resolve("error"));
});

const poll = (stack, origin) => stack.get("/socket.io/?EIO=4&transport=polling", origin ? { origin } : {});
const rest = (stack, origin) => stack.post("/api/v1/chat/session", { userId: "u" }, origin ? { origin } : {});
const preflight = (stack, origin, target = "/api/v1/chat/message") => stack.call("OPTIONS", target, { headers: {
	origin, "access-control-request-method": "POST",
	"access-control-request-headers": "content-type,last-event-id,idempotency-key",
} });

describe("with two origins allowed", () => {
	let stack;
	before(async () => { stack = await startStack({ env: { FRONTEND_URL: `${shop}, ${other}` } }); });
	after(() => stack?.stop());

	for (const origin of [shop, other])
		test(`${origin} may call`, async () => {
			for (const res of [await rest(stack, origin), await poll(stack, origin)]) {
				assert.equal(res.status, 200);
				assert.equal(res.headers["access-control-allow-origin"], origin);
				assert.match(res.headers.vary ?? "", /origin/i);
			}
			assert.equal(await upgrade(stack, origin), 101);
		});

	test("a preflight is answered, for every header that this API knows", async () => {
		const res = await preflight(stack, shop);
		assert.ok([200, 204].includes(res.status));
		assert.equal(res.headers["access-control-allow-origin"], shop);
		assert.match(res.headers["access-control-allow-methods"] ?? "", /POST/);
		for (const header of ["content-type", "last-event-id", "idempotency-key"])
			assert.match((res.headers["access-control-allow-headers"] ?? "").toLowerCase(), new RegExp(header));
	});

	test("an error is readable for an allowed page", async () => {
		const res = await stack.post("/api/v1/chat/session", {}, { origin: shop });
		assertProblem(res, 400);
		assert.equal(res.headers["access-control-allow-origin"], shop);
	});

	for (const origin of [foreign, "null", "https://shop.example.evil.example", "http://shop.example", "https://shop.example:444", "https://SHOP.example.", "garbage", "https://"])
		test(`${origin} is refused everywhere`, async () => {
			const before = (await stack.get("/health")).json.services.activeSessions;
			const res = await rest(stack, origin);
			assertProblem(res, 403);
			assert.equal(res.headers["access-control-allow-origin"], undefined);
			assert.equal((await stack.get("/health")).json.services.activeSessions, before, "nothing was made");
			const flight = await preflight(stack, origin);
			assert.equal(flight.headers["access-control-allow-origin"], undefined);
			const polled = await poll(stack, origin);
			assert.ok([400, 403].includes(polled.status), `polling ${polled.status}`);
			assert.equal(polled.headers["access-control-allow-origin"], undefined);
			const upgraded = await upgrade(stack, origin);
			assert.ok([400, 403].includes(upgraded), `websocket ${upgraded}`);
		});

	test("our own page and callers without Origin are always served", async () => {
		for (const origin of [stack.url, undefined]) {
			assert.equal((await rest(stack, origin)).status, 200);
			assert.equal((await poll(stack, origin)).status, 200);
			assert.equal(await upgrade(stack, origin), 101);
		}
	});
});

describe("with none configured", () => {
	let stack;
	before(async () => { stack = await startStack(); });
	after(() => stack?.stop());

	test("only our own page may call", async () => {
		assert.equal((await rest(stack, stack.url)).status, 200);
		assert.equal((await poll(stack, stack.url)).status, 200);
		assert.equal(await upgrade(stack, stack.url), 101);
		assertProblem(await rest(stack, shop), 403);
		assert.ok([400, 403].includes((await poll(stack, shop)).status));
		assert.ok([400, 403].includes(await upgrade(stack, shop)));
	});
});

describe("with *", () => {
	let stack;
	before(async () => { stack = await startStack({ env: { FRONTEND_URL: "*" } }); });
	after(() => stack?.stop());

	test("everybody may call", async () => {
		for (const origin of [shop, foreign]) {
			for (const res of [await rest(stack, origin), await poll(stack, origin), await preflight(stack, origin)]) {
				assert.ok(res.status < 300);
				assert.ok(["*", origin].includes(res.headers["access-control-allow-origin"]));
			}
			assert.equal(await upgrade(stack, origin), 101);
		}
	});
});
