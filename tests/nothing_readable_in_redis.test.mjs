// A copy of Redis, its dump and its append-only file tell nothing that a person said or is, and no id that opens anything.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

const user = "Marguerite-Yourcenar-1903";
const metadata = { email: "marguerite@bibliotheque.example", tier: "platinumtier" };
const question = "My xylophone arrived broken, order number 4711-Zanzibar";
const answer = "I am sorry about the instrument, kaleidoscope regards";

async function everything(redis) {
	const out = [];
	let cursor = "0";
	do {
		const [next, keys] = await redis.call("SCAN", cursor, "COUNT", "500");
		cursor = next.toString();
		for (const key of keys) {
			out.push(key);
			const type = (await redis.call("TYPE", key)).toString();
			const read = { string: ["GET", key], hash: ["HGETALL", key], list: ["LRANGE", key, "0", "-1"], set: ["SMEMBERS", key],
				zset: ["ZRANGE", key, "0", "-1", "WITHSCORES"], stream: ["XRANGE", key, "-", "+"] }[type];
			assert.ok(read, `a key of type ${type}`);
			out.push(...[await redis.call(...read)].flat(Infinity));
			out.push(await redis.call("DUMP", key));
		}
	} while (cursor !== "0");
	return Buffer.concat(out.filter(Boolean).map((b) => (Buffer.isBuffer(b) ? b : Buffer.from(String(b)))));
}

test("no word, name, address or id", async () => {
	upstream.otherwise = reply(answer);
	const sessionId = await stack.session(user, metadata);
	const clientMessageId = "client-message-id-98765";
	const said = await stack.say(sessionId, question, { userId: user, clientMessageId }, { "idempotency-key": "idempotency-key-24680" });
	await stack.say(sessionId, "This is an emergency, says the xylophone", { userId: user });
	const client = await stack.client();
	await client.ask("join-chat", { userId: user, sessionId });
	await client.ask("send-message", { sessionId, message: "xylophone once more", userId: user });
	await client.when("message-received", (m) => m.isBot);

	const secrets = [user, "Marguerite", "Yourcenar", "bibliotheque", "platinumtier", "xylophone", "4711", "Zanzibar", "kaleidoscope", "instrument",
		sessionId, clientMessageId, "idempotency-key-24680"];
	const forms = (text) => [text, Buffer.from(text).toString("base64").replace(/=+$/, "").slice(0, -1), Buffer.from(text).toString("hex"),
		JSON.stringify(text).slice(1, -1)];
	const check = (where, bytes) => {
		const text = bytes.toString("latin1");
		for (const secret of secrets)
			for (const form of forms(secret))
				assert.ok(!text.includes(form), `${where} contains ${JSON.stringify(secret)}`);
		const lower = text.toLowerCase();
		for (const secret of secrets)
			assert.ok(!lower.includes(secret.toLowerCase()), `${where} contains ${JSON.stringify(secret)} in another case`);
	};

	const redis = await stack.redis();
	const live = await everything(redis);
	assert.ok(live.length > 500, "the conversation is in there");
	check("the store", live);

	await redis.call("SAVE");
	const files = stack.files().filter((f) => /\.(rdb|aof|incr|base)/.test(f) && statSync(f).isFile());
	assert.ok(files.some((f) => /aof/.test(f)), "there is an append-only file");
	assert.ok(files.some((f) => /rdb$/.test(f) && !/base/.test(f)), "and the dump that was just made");
	for (const file of files)
		check(file, readFileSync(file));
	assert.ok(said.messageId);
});

test("what goes over the channels is not in the slow log or a monitor's sight as names of rooms", async () => {
	const redis = await stack.redis();
	const sessionId = await stack.session(user);
	const client = await stack.client();
	await client.ask("join-chat", { userId: user, sessionId });
	const channels = await waitFor("a subscription", async () => {
		const now = await redis.call("PUBSUB", "CHANNELS");
		return now.length > 0 && now;
	});
	for (const channel of channels)
		assert.ok(!channel.toString("latin1").includes(sessionId), "a channel is not named by the session id");
});

test("the sealing keys lie in files that only their owner reads", () => {
	const secrets = stack.files().filter((f) => f.includes("/secrets/") && statSync(f).isFile());
	assert.ok(secrets.length > 0);
	for (const file of secrets)
		assert.equal(statSync(file).mode & 0o777, 0o600, file);
});
