// What somebody does to the desk API who means no good, or is a page in a browser: nothing is shown that is another's or
// old, nobody waits for what will not come, and every refusal can be read.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor, Client, runScript } from "./harness.mjs";
import { AGENT, Person, DESK_ENV } from "./desk.mjs";

const PAGE = "https://app.example";

let upstream, stack, ada, agent;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ...DESK_ENV, FRONTEND_URL: `https://${"a-long-name.".repeat(12)}example/, ${PAGE}` } });
	ada = await Person.join(stack);
	agent = await ada.agent();
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

describe("nothing old", () => {
	test("what was shown with an agent's id is another version when the agent is deleted", async () => {
		const doomed = await ada.agent({ name: "Doomed" });
		const c = await ada.conversation(doomed._id);
		const places = ["/api/conversations", `/api/conversations/${c._id}`];
		const tags = [];
		for (const place of places) {
			const res = await ada.get(place);
			tags.push(res.headers.etag);
			assert.equal((await ada.get(place, { "if-none-match": res.headers.etag })).status, 304);
		}
		await ada.ok("DELETE", `/api/agents/${doomed._id}`);
		for (const [i, place] of places.entries()) {
			const res = await ada.get(place, { "if-none-match": tags[i] });
			assert.equal(res.status, 200, place);
			const shown = Array.isArray(res.json) ? res.json.find((x) => x._id === c._id) : res.json;
			assert.equal(shown.agentId, null, place);
		}
	});
});

describe("nothing that was taken away", () => {
	const socket = async (person) => {
		const client = new Client(stack.url, { auth: { token: person.token } });
		await client.when("connect");
		return client;
	};
	const users = async (...args) => {
		const out = await runScript(["users", ...args, "--state-dir", stack.dir], { env: stack.env });
		assert.equal(out.status, 0, out.stderr);
	};

	test("sockets that came with a token are closed by a new password, and others stay", async () => {
		const eve = await Person.join(stack, "Eve Carter");
		const [hers, another, nobodys] = [await socket(eve), await socket(ada), new Client(stack.url)];
		await nobodys.when("connect");
		await eve.ok("PUT", "/api/auth/profile", { name: "Eve C" });
		await eve.ok("PUT", "/api/auth/profile", { password: "Another-passw0rd", currentPassword: eve.account.password });
		await hers.when("disconnect");
		const refused = new Client(stack.url, { auth: { token: eve.token } });
		await refused.when("connect_error");
		assert.ok(another.socket.connected && nobodys.socket.connected);
		[hers, another, nobodys, refused].forEach((c) => c.close());
	});

	test("who is no administrator any more hears of no other account's customers", async () => {
		const eve = await Person.join(stack, "Eve Dawson");
		await users("set-role", "--email", eve.account.email, "--role", "admin");
		const client = await socket(eve);
		await users("set-role", "--email", eve.account.email, "--role", "user");
		await client.when("disconnect");
		const again = await socket(eve);
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "I want to speak with a human being");
		const own = await eve.agent();
		const mine = await eve.conversation(own._id);
		await eve.say(mine._id, "I want to speak with a human being");
		const needed = await again.when("escalation-needed");
		const open = await eve.ok("GET", "/api/escalations?status=open");
		assert.deepEqual(open.map((e) => e._id), [needed._id]);
		assert.equal(again.all("escalation-needed").length, 1, "not ada's, which came before");
		[client, again].forEach((x) => x.close());
	});
});

describe("nobody waits in vain", () => {
	test("a message whose conversation is deleted while another program answers in it is told so at once", async () => {
		const c = await ada.conversation(agent._id);
		upstream.otherwise = reply("Too late", { delay: 100_000 });
		const client = new Client(stack.url, { auth: { token: ada.token } });
		await client.when("connect");
		client.emit("user_message", { conversationId: c._id, message: "first" });
		await waitFor("the model is asked", () => upstream.requests.length > 0);
		const waiting = ada.post(`/api/conversations/${c._id}/messages`, { content: "second" });
		await waitFor("both are stored", async () => (await ada.read(c._id)).messages.length === 3);
		const deleted = Date.now();
		await ada.ok("DELETE", `/api/conversations/${c._id}`);
		assertProblem(await waiting, 404);
		assert.ok(Date.now() - deleted < 20_000, "TURN_TIMEOUT is a minute");
		client.close();
	});
});

describe("a page elsewhere can read every refusal", () => {
	const readable = (res, what) => {
		assert.equal(res.headers["access-control-allow-origin"], PAGE, what);
		assert.match(res.headers.vary ?? "", /origin/i, what);
		assert.match(res.headers["access-control-expose-headers"] ?? "", /ETag.*Link.*Retry-After.*X-Request-Id/, what);
	};

	test("also nginx's own", async () => {
		for (const [method, target, body, status] of [["POST", "/api/auth/login", { email: "x".repeat(400_000) }, 413],
			["POST", `/api/conversations/${agent._id}/messages`, { content: "x".repeat(400_000) }, 413], ["GET", "/api/nothing", undefined, 404],
			["PUT", `/api/agents/${agent._id}/avatar`, "x".repeat(6 << 20), 413], ["GET", `/api/agents?x=${"y".repeat(20_000)}`, undefined, 414]]) {
			const res = await ada.call(method, target, body, { origin: PAGE, connection: "close" });
			assertProblem(res, status);
			if (status !== 414)		// no header has been read yet
				readable(res, `${method} ${target.slice(0, 40)}`);
		}
	});

	test("and the files that are for all, whoever asked for them before", async () => {
		for (const file of ["/openapi.json", "/public/avatars/ai-avatar.svg"]) {
			const theirs = await stack.call("GET", file, { headers: { origin: PAGE } });
			assert.deepEqual([theirs.status, theirs.headers["access-control-allow-origin"], theirs.headers.vary], [200, PAGE, "Origin"], file);
			const asked = await stack.call("OPTIONS", file, { headers: { origin: PAGE, "access-control-request-method": "GET", "access-control-request-headers": "authorization" } });
			assert.deepEqual([asked.status, asked.headers["access-control-allow-origin"]], [204, PAGE], file);
			assert.match(asked.headers["access-control-allow-headers"], /\bauthorization\b/);
			const ours = await stack.get(file);
			assert.deepEqual([ours.headers["access-control-allow-origin"], ours.headers.vary], [undefined, "Origin"], `${file}: a cache tells them apart`);
		}
	});

	test("and no other page", async () => {
		for (const origin of ["https://evil.example", "https://app.example.evil.example", "null", "https://app.example:444"]) {
			const res = await stack.call("GET", "/api/nothing", { headers: { origin } });
			assert.equal(res.headers["access-control-allow-origin"], undefined, origin);
		}
		assert.equal((await stack.get("/api/nothing")).headers["access-control-allow-origin"], undefined);
	});

	test("405 names all the methods that there are", async () => {
		const allowed = async (target) => {
			const res = await ada.call("PATCH", target, {}, { origin: PAGE });
			assertProblem(res, 405);
			readable(res, target);
			return res.headers.allow.split(", ").sort().join(" ");
		};
		assert.equal(await allowed("/api/agents"), "GET POST");
		assert.equal(await allowed(`/api/agents/${agent._id}`), "DELETE GET PUT");
		assert.equal(await allowed("/api/conversations/reanalyze-sentiment"), "DELETE GET POST PUT");
	});
});

describe("names and titles", () => {
	const lines = ["<script>alert(1)</script>", "\u202egpj.exe", "one\ntwo", "bell\u0007", "\u2066isolated", "in\u061cvisible", "\ufeffmark", "page\u2028two"];

	test("that are no plain line are refused, and nothing is stored", async () => {
		const c = await ada.conversation(agent._id);
		const before = { agents: await ada.ok("GET", "/api/agents"), list: await ada.list() };
		for (const line of lines) {
			assertProblem(await ada.post("/api/agents", { ...AGENT, name: line }), 400, /^name must be/, JSON.stringify(line));
			assertProblem(await ada.put(`/api/agents/${agent._id}`, { companyName: line }), 400, /^companyName must be/, JSON.stringify(line));
			assertProblem(await ada.post("/api/conversations", { agentId: agent._id, title: line }), 400, /^title must be/, JSON.stringify(line));
			assertProblem(await ada.put(`/api/conversations/${c._id}`, { title: line }), 400, /^title must be/, JSON.stringify(line));
		}
		assert.deepEqual({ agents: await ada.ok("GET", "/api/agents"), list: await ada.list() }, before);
	});

	test("of any script, with quotation marks and emoji, come back as they were", async () => {
		for (const line of ["\"Ünïcödé\" & 株式会社 🫖", "O'Neil – 50 %", "مرحبا بالعالم", "नमस्ते"]) {
			assert.equal((await ada.conversation(agent._id, { title: ` ${line} ` })).title, line);
			assert.equal((await ada.agent({ name: line })).name, line);
		}
	});
});
