// A short version of ./run fault: a fixed set of faults, at once, under a few customers; and the judge is judged.

import { test, after, before } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";
import { Field } from "./fault/clients.mjs";
import { judge } from "./fault/judge.mjs";
import { runScenario } from "./fault/run.mjs";
import { digest } from "./harness.mjs";

const faults = { programs: { kills: 10, seed: 3 }, power: { kills: 4, seed: 4 }, upstream: { kills: 2, seed: 5 }, drops: { kills: 60, seed: 6 },
	desk: { kills: 12, seed: 7 } };

const wrong = (rows) => rows.filter((row) => row.held === false).map((row) => `${row.value} ${row.name} ${row.detail?.join() ?? ""}`);

test("nothing acknowledged is lost, doubled or left unanswered", { concurrency: 2 }, async (t) => {
	await Promise.all(Object.entries(faults).map(([name, options]) => t.test(name, async () => {
		const { rows } = await runScenario(name, { clients: 12, ...options });
		assert.deepEqual(wrong(rows), []);
	})));
});

test("nobody tries on when all have finished", { timeout: 10_000 }, async () => {
	const field = new Field({}, { report() {}, async sync() {} }, { clients: 2, seed: 1 });
	const rejoins = field.clients[1].insist(() => Promise.reject(new Error("not connected")));
	field.running = [];
	assert.equal(await field.stop(), true);
	assert.equal(await rejoins, null);
});

// ---- the judge: a store that is wrong is found out ----

let server, dir;
let history, answers = {};	// what it says: the messages; clientMessageId → id of the answer to it

before(async () => {
	dir = mkdtempSync(path.join(tmpdir(), "helpline-judge-"));
	server = createServer(async (req, res) => {
		if (req.method === "GET")
			return void res.end(JSON.stringify({ success: true, history }));
		const id = answers[JSON.parse((await req.toArray()).join("")).clientMessageId];
		res.end(JSON.stringify({ success: true, messageId: id, seq: id && 1 }));
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
});
after(() => {
	server.close();
	server.closeAllConnections();
	rmSync(dir, { recursive: true, force: true });
});

const at = (seconds) => new Date(Date.UTC(2026, 0, 31, 12, 0, seconds)).toISOString();
const asked = (seq, n, seconds = seq) => ({ id: `u${seq}`, seq, role: "user", content: `q1x${n}`, clientMessageId: `c-${n}`, timestamp: at(seconds) });
const answer = (seq, n, seconds = seq) => ({ id: `a${seq}`, seq, role: "assistant", content: `About q1x${n}`, timestamp: at(seconds) });
const told = (m) => ({ what: "acknowledged", session: "s", cid: m.clientMessageId, hash: digest(m.content), id: m.id, seq: m.seq });
const seen = (m) => ({ what: "answer", session: "s", id: m.id, seq: m.seq, hash: digest(m.content) });

async function judged(log, ledger) {
	const file = path.join(dir, "ledger");
	history = log;
	writeFileSync(file, ledger.map((e) => `${JSON.stringify(e)}\n`).join(""));
	const rows = await judge({ url: `http://127.0.0.1:${server.address().port}` }, file, {});
	return rows.filter((row) => row.held === false).map((row) => row.name);
}

test("the judge has nothing to say when all is well", async () => {
	const log = [asked(1, 1), asked(2, 2), answer(3, 1), answer(4, 2)];
	assert.deepEqual(await judged(log, [...log.slice(0, 2).map(told), ...log.slice(2).map(seen)]), []);
});

test("nor when a person has seen what nobody answers", async () => {
	const log = [asked(1, 1), answer(2, 1), asked(3, 2)];
	const spell = { what: "spell", session: "s", taken: Date.parse(at(3)), from: 3, to: 3, until: 3 };
	assert.deepEqual(await judged(log, [told(log[0]), told(log[2]), spell]), []);
});

test("nor when an answer comes after the last look of who has left", async () => {
	const log = [asked(1, 1), answer(2, 1)];
	assert.deepEqual(await judged(log, [told(log[0]), { what: "transcript", session: "s", upTo: 1, seen: [] }]), []);
});

const unnamed = (seq) => ({ ...answer(seq, 0), content: "I cannot answer right now." });

test("nor when what came while an answer was under way is answered by the next", async () => {
	const log = [asked(1, 1), asked(2, 2), unnamed(3), unnamed(4), asked(5, 3), asked(6, 4), unnamed(7)];
	answers = { "c-1": "a3", "c-2": "a4", "c-3": "a7", "c-4": "a7" };
	assert.deepEqual(await judged(log, [told(log[0])]), []);
});

test("but finds what is answered by none, or twice, also if no answer names it", async () => {
	const log = [asked(1, 1), asked(2, 2), unnamed(3), unnamed(4)];
	answers = { "c-1": "a3", "c-2": undefined };
	assert.deepEqual(await judged(log.slice(0, 3), [told(log[0])]), ["messages unanswered"]);
	answers = { "c-1": "a3", "c-2": "a3" };
	assert.deepEqual(await judged(log, [told(log[0])]), ["answers doubled"]);
});

for (const [what, log, ledger, name] of [
	["a lost message", [asked(1, 1), answer(2, 1)], [told(asked(1, 2))], "acknowledged messages lost"],
	["another seq", [asked(1, 1), answer(2, 1)], [told({ ...asked(1, 1), seq: 7 })], "stored otherwise than acknowledged"],
	["a message stored twice", [asked(1, 1), asked(2, 1), answer(3, 1), answer(4, 1)], [told(asked(1, 1))], "messages stored twice"],
	["a second answer", [asked(1, 1), answer(2, 1), answer(3, 1)], [told(asked(1, 1))], "answers doubled"],
	["an answer that is not there", [asked(1, 1), answer(2, 1)], [seen(answer(4, 1))], "answers seen that are not stored so"],
	["a gap", [asked(1, 1), answer(3, 1)], [told(asked(1, 1))], "seq out of order in the store"],
	["a late answer", [asked(1, 1, 1), answer(2, 1, 30)], [told(asked(1, 1))],
		"turns later than lease + 10 s after acceptance, or after the last kill meanwhile"],
	["a message of the model while a person has the conversation", [asked(1, 1), asked(2, 2), answer(3, 2)],
		[{ what: "spell", session: "s", taken: Date.parse(at(1)), from: 2, to: 3, until: 3 }],
		"messages of the model while a person had the conversation"],
	["a transcript with a hole", [asked(1, 1), answer(2, 1)], [{ what: "transcript", session: "s", upTo: 2, seen: [] }],
		"transcripts of sockets that differ from the store"],
])
	test(`the judge finds ${what}`, async () => {
		const found = await judged(log, ledger);
		assert.ok(found.includes(name), found.join());
	});
