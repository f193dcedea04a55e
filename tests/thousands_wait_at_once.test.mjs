// Many customers wait for a slow model at the same time; all are answered, and others are served meanwhile.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack } from "./harness.mjs";

let upstream, stack;
const MANY = 1500;

before(async () => {
	upstream = await startUpstream();
	upstream.record = false;
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

test(`${MANY} messages wait for one slow model`, async () => {
	let open;
	const gate = new Promise((resolve) => { open = resolve; });
	let arrived = 0;
	let all;
	const everybody = new Promise((resolve) => { all = resolve; });
	upstream.otherwise = async () => {
		if (++arrived === MANY)
			all();
		await gate;
		return reply("Here you are.");
	};
	const ids = [];
	for (let i = 0; i < MANY; i += 100)
		ids.push(...await Promise.all(Array.from({ length: 100 }, () => stack.session())));
	const answers = ids.map((id) => stack.message(id, "wait for it"));
	await Promise.race([everybody, Promise.all(answers).then((done) => assert.fail(`answered too soon: ${done[0].text}`))]);
	const start = Date.now();
	assert.equal((await stack.get("/health")).status, 200);
	await stack.session();
	assert.ok(Date.now() - start < 10_000, "others are served meanwhile");
	open();
	const results = await Promise.all(answers);
	assert.deepEqual([...new Set(results.map((r) => r.status))], [200]);
	assert.ok(results.every((r) => r.json.response === "Here you are."));
	assert.equal(new Set(results.map((r) => r.json.messageId)).size, MANY);
});

// The kernel's call that widens it stops a program with threads for 20 ms.
test("there is room for their descriptors from the start", async () => {
	for (const name of ["chat", "desk", "events"]) {
		const { pid } = await stack.program(name);
		const about = (file) => readFileSync(`/proc/${pid}/${file}`, "utf8");
		const limit = Number(/^Max open files +(\d+)/m.exec(about("limits"))[1]);
		assert.ok(Number(/^FDSize:\s+(\d+)/m.exec(about("status"))[1]) >= Math.min(limit, 16_384), name);
	}
});

test("five hundred read streams at once", async () => {
	const text = "one two three four five six seven eight";
	upstream.otherwise = reply(text, { tokenDelay: 30 });
	const ids = await Promise.all(Array.from({ length: 500 }, () => stack.session()));
	const texts = await Promise.all(ids.map(async (sessionId) => {
		const stream = await stack.stream({ sessionId, message: "tell me", userId: "visitor-1" });
		let got = "";
		for await (const event of stream.events)
			got = event.event === "delta" ? got + event.json.text : `${got}|${event.json.response}`;
		return got;
	}));
	assert.deepEqual([...new Set(texts)], [`${text}|${text}`]);
});
