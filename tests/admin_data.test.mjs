// What an administrator does with what is stored: looks at it, saves and restores it, gives a person what is about him, and
// forgets him.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { startUpstream, reply } from "./upstream.mjs";
import { environment, pause, root, startStack, unique, waitFor, newStateDir } from "./harness.mjs";
import { DESK_ENV, Person } from "./desk.mjs";

const PASSPHRASE = "a passphrase that is long enough";
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

// A subcommand on the system below dir, with standard input.
function command(dir, args, { input = "", env = {} } = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(path.join(root, "run"), [...args, "--state-dir", dir], { env: environment(env), cwd: root });
		const out = { stdout: "", stderr: "" };
		child.stdout.on("data", (d) => (out.stdout += d));
		child.stderr.on("data", (d) => (out.stderr += d));
		child.on("error", reject);
		child.on("close", (status) => resolve({ ...out, stderr: out.stderr.replace(/^==\d+==WARNING: ASan doesn't fully.*\n/gm, ""), status }));
		child.stdin.on("error", () => {});
		child.stdin.end(input);
	});
}

async function ok(dir, args, options) {
	const out = await command(dir, args, options);
	assert.equal(out.status, 0, `${args.join(" ")}: ${out.stdout}${out.stderr}`);
	assert.doesNotMatch(out.stderr, /Sanitizer|runtime error/);
	return out;
}
const okJson = async (dir, args, options) => JSON.parse((await ok(dir, [...args, "--json"], options)).stdout);

async function refused(dir, args, sentence, { status = 1, ...options } = {}) {
	const out = await command(dir, args, options);
	assert.equal(out.status, status, `${args.join(" ")}: ${out.stdout}${out.stderr}`);
	assert.match(out.stderr, sentence);
	assert.equal(out.stderr.trim().split("\n").length <= (status === 2 ? 12 : 1), true, out.stderr);
}

// Every key with its type and what it holds, but limits and locks; times to live as they are to the second.
const PASSING = /^(rl|lf|holders|job|gone):|^an:\{0\}:flushed/;
async function everything(redis, { passing = false } = {}) {
	const out = new Map();
	let cursor = "0";
	do {
		const [next, keys] = await redis.call("SCAN", cursor, "COUNT", "500");
		cursor = next.toString();
		for (const key of keys.map(String)) {
			if (!passing && PASSING.test(key))
				continue;
			const type = (await redis.call("TYPE", key)).toString();
			const read = { string: ["GET", key], hash: ["HGETALL", key], list: ["LRANGE", key, "0", "-1"],
				zset: ["ZRANGE", key, "0", "-1", "WITHSCORES"] }[type];
			assert.ok(read, `${key} is a ${type}`);
			let items = [await redis.call(...read)].flat().map((b) => b?.toString("latin1"));
			if (type === "hash")
				items = items.flatMap((_, i) => (i % 2 ? [] : [`${items[i]} ${items[i + 1]}`])).sort();
			out.set(key, { type, items, ttl: Number(await redis.call("PTTL", key)) });
		}
	} while (cursor !== "0");
	return out;
}

// The same, once it does not change any more: programs count what they did once a second.
async function settled(redis) {
	const text = (all) => JSON.stringify([...all].map(([key, { items }]) => [key, items]).sort());
	return waitFor("the store is at rest", async () => {
		const all = await everything(redis);
		await pause(1500);
		return text(all) === text(await everything(redis)) && all;
	});
}

// The folders of conversations that have some; beside them is a count of all their bytes.
const recordingsIn = (dir) => readdirSync(path.join(dir, "uploads")).filter((name) => name !== "usage");
const filesBelow = (dir) => (existsSync(dir) ? readdirSync(dir, { recursive: true, withFileTypes: true }) : [])
	.filter((e) => e.isFile()).map((e) => path.join(e.parentPath ?? e.path, e.name));

let upstream, stack, ada, bob, agent, desk, session, recording, avatar, folder;
const user = "Marguerite-Yourcenar-1903";

async function record(person, id, transcript) {
	const form = new FormData();
	const sound = Buffer.from("52494646a40000005741564566" + "6d7420100000000100010040 1f0000803e000002001000 64617461 80000000".replace(/ /g, "") + "00".repeat(128), "hex");
	form.append("audio", new Blob([sound], { type: "audio/wav" }), "a.wav");
	form.append("transcript", transcript);
	const res = await fetch(`${stack.url}/api/conversations/${id}/audio`, { method: "POST", body: form, headers: person.headers });
	const text = await res.text();
	assert.equal(res.status, 200, text);
	return JSON.parse(text).audioUrl;
}

before(async () => {
	folder = mkdtempSync(path.join(process.env.HELPLINE_TEST_TMP ?? "/tmp", "helpline-admin-"));
	upstream = await startUpstream();
	upstream.otherwise = reply("Our kaleidoscope regards.");
	stack = await startStack({ upstream, env: DESK_ENV });
	await ok(stack.dir, ["users", "add", "--admin", "--email", "root@example.com", "--name", "Root Person"], { input: "Secret-passw0rd\n" });
	ada = await Person.join(stack, "Ada Lovelace");
	bob = await Person.join(stack, "Bob Builder");
	agent = await ada.agent();
	const put = await fetch(`${stack.url}/api/agents/${agent._id ?? agent.id}/avatar`, { method: "PUT", body: PNG,
		headers: { ...ada.headers, "content-type": "image/png" } });
	assert.equal(put.status, 200, await put.clone().text());
	desk = (await ada.ok("POST", "/api/conversations", { agentId: agent._id ?? agent.id, title: "Xylophone" }, 201))._id;
	recording = await record(ada, desk, "my xylophone arrived broken");
	await waitFor("the answer", async () => (await ada.ok("GET", `/api/conversations/${desk}/messages`)).length >= 2 ||
		JSON.stringify(await ada.ok("GET", `/api/conversations/${desk}`)).includes("kaleidoscope"));
	session = await stack.session(user, { tier: "platinumtier" });
	await stack.say(session, "Where is my parcel?", { userId: user });
	await stack.say(session, "I want to talk to a human being, this is urgent", { userId: user });
	await ok(stack.dir, ["keys", "add", "--name", "worker", "--owner", ada.account.email]);
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
	rmSync(folder, { recursive: true, force: true });
});

describe("sessions", () => {
	test("are listed, the most recently used first, of one person alone if asked", async () => {
		const other = await stack.session("somebody-else");
		const all = await okJson(stack.dir, ["sessions", "list"]);
		assert.deepEqual(new Set(all.map((s) => s.sessionId)), new Set([session, other]));
		const [mine, ...more] = await okJson(stack.dir, ["sessions", "list", "--user", user]);
		assert.equal(more.length, 0);
		assert.equal(mine.userId, user);
		assert.deepEqual(mine.metadata, { tier: "platinumtier" });
		assert.equal(mine.messageCount, 4);
		assert.match(mine.escalationId, /^[\w-]{22}$/);
		assert.equal((await okJson(stack.dir, ["sessions", "list", "--limit", "1"])).length, 1);
		assert.match((await ok(stack.dir, ["sessions", "list"])).stdout, new RegExp(`${session} .* waits .*${user}`));
		await ok(stack.dir, ["sessions", "end", other]);
	});

	test("are shown with their messages, conversations too, and a terminal obeys none of it", async () => {
		const shown = await okJson(stack.dir, ["sessions", "show", session]);
		assert.equal(shown.messages.length, 4);
		assert.equal(shown.messages[0].content, "Where is my parcel?");
		const conversation = await okJson(stack.dir, ["sessions", "show", desk]);
		assert.equal(conversation.title, "Xylophone");
		assert.ok(conversation.messages.some((m) => m.audioUrl === recording));
		const evil = await stack.session("\u001b]0;evil\u0007 \u202egnp");
		await stack.say(evil, "one\u001b[2Jtwo\r\nthree", { userId: "\u001b]0;evil\u0007 \u202egnp" });
		for (const args of [["list"], ["show", evil]]) {
			const { stdout } = await ok(stack.dir, ["sessions", ...args]);
			// eslint-disable-next-line no-control-regex
			assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
		}
		await ok(stack.dir, ["sessions", "end", evil]);
	});

	test("of an id that begins with a dash it is not an option", async () => {
		const id = "-6wShCjvfZa3TPYsx4D9db";
		for (const args of [["show", id], ["end", id], ["--json", "show", id], ["show", id, "--json"]])
			await refused(stack.dir, ["sessions", ...args], /no session and no conversation/);
		await refused(stack.dir, ["escalations", "show", id], /no such escalation/);
		await refused(stack.dir, ["sessions", "list", id], /usage/, { status: 2 });
		await refused(stack.dir, ["sessions", id], /usage/, { status: 2 });
	});

	test("one that is ended is gone at once, a conversation is completed", async () => {
		const id = await stack.session("leaver");
		await stack.say(id, "I want to talk to a human, urgently", { userId: "leaver" });
		const before = (await okJson(stack.dir, ["escalations", "list"])).length;
		assert.deepEqual(await okJson(stack.dir, ["sessions", "end", id]), { id, ended: "forgotten" });
		assert.equal((await stack.get(`/api/v1/chat/history/${id}`)).status, 404);
		assert.equal((await okJson(stack.dir, ["escalations", "list"])).length, before - 1, "its escalation with it");
		await refused(stack.dir, ["sessions", "end", id], /no session and no conversation/);
		const other = (await bob.ok("POST", "/api/conversations", { isCallSimulator: true }, 201))._id;
		assert.deepEqual(await okJson(stack.dir, ["sessions", "end", other]), { id: other, ended: "completed" });
		assert.equal((await bob.ok("GET", `/api/conversations/${other}`)).status, "completed");
		await bob.delete(`/api/conversations/${other}`);
	});

	test("asked wrongly, it says how to ask", async () => {
		for (const args of [[], ["nonsense"], ["show"], ["list", session], ["end", session, session]])
			await refused(stack.dir, ["sessions", ...args], /usage: helpline sessions/, { status: 2 });
		for (const limit of ["0", "x", "", "100001"])
			await refused(stack.dir, ["sessions", "list", "--limit", limit], /--limit takes a number from 1 to 100000, not[^]*usage:/, { status: 2 });
		for (const id of ["", "x", "../../etc/passwd", "A".repeat(22), "A".repeat(100_000)])
			await refused(stack.dir, ["sessions", "show", id], /no session and no conversation/);
	});
});

describe("escalations", () => {
	test("are taken, answered and given back in an account's name", async () => {
		const [waiting] = await okJson(stack.dir, ["escalations", "list", "--status", "open"]);
		assert.equal(waiting.conversationId, session);
		assert.equal(waiting.status, "open");
		const id = waiting._id;
		await refused(stack.dir, ["escalations", "reply", id, "--text", "Hello"], /nobody has taken/);
		assert.equal((await okJson(stack.dir, ["escalations", "take", id, "--as", bob.account.email])).takenBy, bob.user._id ?? bob.user.id);
		await refused(stack.dir, ["escalations", "take", id], /has taken this escalation/);
		await refused(stack.dir, ["escalations", "take", id, "--as", "nobody@example.com"], /no account with the address/);
		await refused(stack.dir, ["escalations", "reply", id, "--text", "  ", "--as", bob.account.email], /text is empty/);
		const words = "Hello, this is Bob.\nHow can I help?";
		const said = await okJson(stack.dir, ["escalations", "reply", id, "--text", "-", "--as", bob.account.email], { input: words });
		assert.equal(said.content, words);
		assert.equal(said.by, "human");
		assert.equal((await stack.history(session)).at(-1).content, words);
		const shown = await okJson(stack.dir, ["escalations", "show", id]);
		assert.equal(shown.messages.at(-1).content, words);
		assert.equal((await okJson(stack.dir, ["escalations", "list", "--status", "taken"])).length, 1);
		assert.equal((await okJson(stack.dir, ["escalations", "return", id, "--text", "Refund agreed", "--as", bob.account.email])).status, "returned");
		assert.deepEqual(await okJson(stack.dir, ["escalations", "list"]), []);
		await refused(stack.dir, ["escalations", "close", id], /is over: it was returned/);
	});

	test("asked wrongly, it says how to ask", async () => {
		for (const args of [[], ["take"], ["list", "--as", "a@b.example"], ["reply", "x"], ["take", "x", "--text", "y"]])
			await refused(stack.dir, ["escalations", ...args], /usage: helpline escalations/, { status: 2 });
		await refused(stack.dir, ["escalations", "list", "--status", "lost"], /--status takes open or taken, not "lost"/, { status: 2 });
		await refused(stack.dir, ["escalations", "show", "A".repeat(22)], /no such escalation/);
	});
});

describe("a backup", () => {
	let file, before, second;
	after(() => second?.stop());

	const backup = (args, options) => okJson(stack.dir, ["backup", ...args], { input: `${PASSPHRASE}\n`, ...options });
	const keys = (dir) => readFileSync(path.join(dir, "secrets/seal.keys"), "utf8");

	test("holds all there is, sealed, and only its owner reads it", async () => {
		file = path.join(folder, "all.backup");
		before = await settled(await stack.redis());
		const told = await backup(["--to", file]);
		assert.equal(told.atOnce, true);
		assert.equal(told.keys, before.size);
		assert.ok(told.files >= 5, "a recording, an image, three secrets");
		assert.equal(statSync(file).mode & 0o777, 0o600);
		assert.ok(!existsSync(`${file}.new`));
		const text = readFileSync(file).toString("latin1");
		for (const word of ["c:{0}", "seal ", ada.account.email, [...before.keys()][0]])
			assert.ok(!text.includes(word));
		assert.deepEqual(await everything(await stack.redis()).then((now) => [...now.keys()].sort()), [...before.keys()].sort(), "nothing was changed");
	});

	test("is checked without a store", async () => {
		const told = await okJson(stack.dir, ["restore", "--check", "--from", file], { input: PASSPHRASE });
		assert.equal(told.checked, true);
		assert.equal(told.restored, false);
		assert.equal(told.keys, before.size);
	});

	test("of another passphrase, cut, or with one bit changed anywhere is refused before anything is written", async () => {
		second = await startStack({ upstream, env: DESK_ENV, stateDir: newStateDir() });
		const redis = await second.redis();
		const empty = [...(await everything(redis)).keys()];
		const itsKeys = keys(second.dir);
		const whole = readFileSync(file);
		await refused(second.dir, ["restore", "--from", file], /not its passphrase/, { input: "another passphrase\n" });
		await refused(second.dir, ["restore", "--from", file, "--key", "/dev/null"], /was sealed with a passphrase/);
		await refused(second.dir, ["restore", "--from", path.join(folder, "none")], /cannot be read/, { input: PASSPHRASE });
		writeFileSync(path.join(folder, "text"), "x".repeat(1000));
		await refused(second.dir, ["restore", "--from", path.join(folder, "text")], /is no backup/, { input: PASSPHRASE });
		const bad = path.join(folder, "bad");
		const damaged = async (bytes) => {
			writeFileSync(bad, bytes);
			await refused(second.dir, ["restore", "--from", bad], /damaged|no backup|cannot be opened|sealed with|not its/, { input: PASSPHRASE });
		};
		for (const length of [0, 10, 63, 64, 65, 70, Math.floor(whole.length / 2), whole.length - 17, whole.length - 1])
			await damaged(whole.subarray(0, length));
		for (const at of [0, 8, 13, 20, 30, 45, 64, 67, 68, 200, Math.floor(whole.length / 2), whole.length - 20, whole.length - 1]) {
			const copy = Buffer.from(whole);
			copy[at] ^= 1;
			await damaged(copy);
		}
		await damaged(Buffer.concat([whole, Buffer.from("x")]));
		assert.deepEqual([...(await everything(redis)).keys()], empty, "nothing was written");
		assert.equal(keys(second.dir), itsKeys);
	});

	test("is put back into an empty store: every key, every file, and its keys; then people sign in and go on", async () => {
		const told = await okJson(second.dir, ["restore", "--from", file], { input: PASSPHRASE });
		assert.equal(told.restored, true);
		assert.equal(told.otherKeys, true);
		const redis = await second.redis();
		const now = await everything(redis);
		for (const [key, { type, items, ttl }] of before) {
			if (/^(due|active|an|st):/.test(key) && !now.has(key))
				continue;
			assert.ok(now.has(key), key);
			assert.equal(now.get(key).type, type);
			assert.deepEqual(now.get(key).items, items, key);
			assert.equal(now.get(key).ttl < 0, ttl < 0, key);
		}
		assert.equal(keys(second.dir), keys(stack.dir));
		assert.ok(readdirSync(path.join(second.dir, "secrets")).some((f) => /^seal\.keys\.before-\d+$/.test(f)), "the ones that were there are kept");
		for (const area of ["uploads", "avatars"]) {
			const names = (dir) => filesBelow(path.join(dir, area)).map((f) => path.relative(dir, f)).filter((f) => f !== "uploads/usage").sort();
			assert.deepEqual(names(second.dir), names(stack.dir));
			for (const name of names(stack.dir)) {
				assert.deepEqual(readFileSync(path.join(second.dir, name)), readFileSync(path.join(stack.dir, name)));
				assert.equal(statSync(path.join(second.dir, name)).uid, statSync(path.join(stack.dir, name)).uid, "whose it is");
			}
		}
		await second.restart();
		const res = await second.post("/api/auth/login", { email: ada.account.email, password: ada.account.password });
		assert.equal(res.status, 200, res.text);
		const again = new Person(second, res.json);
		assert.match(JSON.stringify(await again.ok("GET", `/api/conversations/${desk}`)), /kaleidoscope/);
		assert.equal((await fetch(second.url + recording)).status, 200);
		assert.equal((await second.history(session)).length, (await stack.history(session)).length);
		await second.say(session, "One more question", { userId: user });
	});

	test("is not put into a store that has something, unless that is to be replaced", async () => {
		const extra = await second.session("extra");
		await refused(second.dir, ["restore", "--from", file], /store is not empty/, { input: PASSPHRASE });
		const [each, away] = [path.join(second.dir, "uploads", recordingsIn(second.dir)[0]), path.join(folder, "away")];
		mkdirSync(away);
		rmSync(each, { recursive: true });
		symlinkSync(away, each);
		await refused(second.dir, ["restore", "--replace", "--from", file], /cannot be written: Too many levels of symbolic links/, { input: PASSPHRASE });
		assert.deepEqual(readdirSync(away), [], "nothing is written where a link leads to");
		rmSync(each);
		await ok(second.dir, ["restore", "--replace", "--from", file], { input: PASSPHRASE });
		assert.equal((await second.get(`/api/v1/chat/history/${extra}`)).status, 404);
		assert.equal((await second.history(session)).length, (await stack.history(session)).length);
	});

	test("may be sealed with a key file, which others must not read", async () => {
		const key = path.join(folder, "key");
		await ok(stack.dir, ["backup", "--make-key", key]);
		assert.equal(statSync(key).mode & 0o777, 0o600);
		await refused(stack.dir, ["backup", "--make-key", key], /cannot be made/);
		const to = path.join(folder, "keyed");
		await backup(["--to", to, "--key", key], { input: "" });
		await refused(stack.dir, ["restore", "--check", "--from", to], /sealed with a key file/, { input: PASSPHRASE });
		await ok(stack.dir, ["restore", "--check", "--from", to, "--key", key]);
		const other = path.join(folder, "other-key");
		await ok(stack.dir, ["backup", "--make-key", other]);
		await refused(stack.dir, ["restore", "--check", "--from", to, "--key", other], /not its key/);
		chmodSync(key, 0o640);
		await refused(stack.dir, ["restore", "--check", "--from", to, "--key", key], /can be read by others/);
	});

	test("asked wrongly, or where it cannot write, it says so and leaves nothing", async () => {
		for (const args of [[], ["--to"], ["--to", "x", "--make-key", "y"], ["surplus", "--to", "x"]])
			await refused(stack.dir, ["backup", ...args], /usage: helpline backup|requires an argument/, { status: 2 });
		await refused(stack.dir, ["backup", "--to", path.join(folder, "short")], /at least 12 bytes/, { input: "short\n" });
		await refused(stack.dir, ["backup", "--to", path.join(folder, "missing/file")], /cannot be written/, { input: PASSPHRASE });
		assert.ok(!existsSync(path.join(folder, "short")));
		for (const args of [[], ["--from", "x", "--check", "--replace"]])
			await refused(stack.dir, ["restore", ...args], /usage: helpline restore/, { status: 2 });
	});

	test("made while customers write is of one moment, and nobody fails", async () => {
		let going = true, failed = 0, sent = 0;
		const writers = Array.from({ length: 4 }, async (_, i) => {
			const id = await stack.session(`writer-${i}`);
			while (going) {
				const res = await stack.message(id, `line ${sent++}`, { userId: `writer-${i}` });
				failed += res.status !== 200;
			}
			await ok(stack.dir, ["sessions", "end", id]);
		});
		const busy = path.join(folder, "busy");
		for (let i = 0; i < 3; i++)
			assert.equal((await backup(["--to", busy])).atOnce, true);
		going = false;
		await Promise.all(writers);
		assert.equal(failed, 0);
		assert.ok(sent > 0);
		const third = await startStack({ upstream, env: DESK_ENV, stateDir: newStateDir() });
		try {
			await ok(third.dir, ["restore", "--from", busy], { input: PASSPHRASE });
			const now = await everything(await third.redis());
			const calls = [...now].filter(([k]) => /^c:\{0\}:[\w-]{22}$/.test(k));
			for (const [key, { items }] of calls) {
				const seq = Number(items.find((i) => i.startsWith("seq "))?.slice(4) ?? 0);
				assert.equal(now.get(`${key}:log`)?.items.length ?? 0, seq, "the log is as long as the record says");
			}
			assert.ok(calls.length >= 2);
		} finally {
			await third.stop();
		}
	});
});

describe("what is one person's", () => {
	test("is exported, with recordings and images, into a folder of its own", async () => {
		const to = path.join(folder, "ada");
		const told = await okJson(stack.dir, ["export", "--email", ada.account.email.toUpperCase(), "--to", to]);
		assert.equal(told.conversations, 1);
		const person = JSON.parse(readFileSync(path.join(to, "person.json"), "utf8"));
		assert.equal(person.account.email, ada.account.email);
		assert.equal(person.account.name, "Ada Lovelace");
		assert.equal(person.agents[0].agent.name, "Robin");
		assert.deepEqual(person.apiKeys.map((k) => k.name), ["worker"]);
		const [c] = person.conversations;
		assert.equal(c._id, desk);
		assert.ok(c.messages.some((m) => m.content === "my xylophone arrived broken"));
		assert.equal(c.files.length, 1);
		assert.ok(statSync(path.join(to, c.files[0])).size > 128);
		assert.deepEqual(readFileSync(path.join(to, person.agents[0].files[0])), PNG);
		assert.equal(statSync(to).mode & 0o777, 0o700);
		assert.doesNotMatch(JSON.stringify(person), /Marguerite|Bob Builder|\$2b\$/);
		await refused(stack.dir, ["export", "--email", ada.account.email, "--to", to], /cannot be written: File exists; name a folder that is not there yet/);
	});

	test("is exported without what a link leads to", async () => {
		const [first] = recordingsIn(stack.dir).map((name) => path.join(stack.dir, "uploads", name));
		const [aside, to] = [path.join(folder, "aside"), path.join(folder, "linked")];
		renameSync(first, aside);
		symlinkSync(path.join(stack.dir, "secrets"), first);
		await ok(stack.dir, ["export", "--email", ada.account.email, "--to", to]);
		rmSync(first);
		renameSync(aside, first);
		assert.ok(readdirSync(path.join(to, "files")).every((name) => !/jwt|probe|seal/.test(name)));
	});

	test("of a userId of the chat API too", async () => {
		const to = path.join(folder, "visitor");
		await ok(stack.dir, ["export", "--user", user, "--to", to]);
		const person = JSON.parse(readFileSync(path.join(to, "person.json"), "utf8"));
		assert.equal(person.account, null);
		assert.equal(person.sessions.length, 1);
		assert.equal(person.sessions[0].sessionId, session);
		assert.equal(person.escalations.length, 1);
		assert.equal(person.escalations[0].note, "Refund agreed");
	});

	test("of somebody who is not there, it says so", async () => {
		await refused(stack.dir, ["export", "--user", "nobody-here", "--to", path.join(folder, "n")], /nothing of a person/);
		await refused(stack.dir, ["erase", "--yes", "--email", "nobody@example.com"], /no account with this address/);
		await refused(stack.dir, ["erase", "--yes", "--email", "no address"], /not valid/);
		for (const args of [["export", "--user", "x"], ["erase"], ["erase", "--user", "x", "--email", "a@b.example"]])
			await refused(stack.dir, args, /usage: helpline/, { status: 2 });
		assert.ok(!existsSync(path.join(folder, "n")));
	});

	// All 22 character names that a key or a value of the store has.
	const namesIn = (all) => new Set([...all].flatMap(([key, { items }]) => [key, ...items])
		.flatMap((text) => [...text.matchAll(/(?<![\w-])[\w-]{22}(?![\w-])/g)].map((m) => m[0])));

	test("is erased from the store, its files and Redis' own; the others keep what is theirs", async () => {
		const redis = await stack.redis();
		const dump = () => filesBelow(path.join(stack.dir, "redis")).map((f) => readFileSync(f, "latin1")).join("\n");
		const others = async () => ({ bob: await bob.ok("GET", "/api/auth/me"), history: (await stack.history(session)).length,
			list: await bob.ok("GET", "/api/conversations") });
		const keep = await others();
		const was = await everything(redis);
		const conversations = [...was].filter(([k]) => /^u:\{0\}:[\w-]{22}:conversations$/.test(k)).map(([k, { items }]) => [k.slice(6, 28), items[0]]);
		const [h, place] = conversations.find(([, p]) => existsSync(path.join(stack.dir, "uploads", p)));
		const dry = await okJson(stack.dir, ["erase", "--email", ada.account.email]);
		assert.equal(dry.erased, false);
		assert.ok((await everything(redis)).has(`u:{0}:${h}`), "without --yes nothing is changed");

		const told = await okJson(stack.dir, ["erase", "--email", ada.account.email, "--yes"]);
		assert.equal(told.erased, true);
		assert.equal(told.rewritten, true);
		const now = await everything(redis, { passing: true });
		const gone = [...was.keys()].filter((k) => !now.has(k)).flatMap((k) => k.match(/(?<=:)[\w-]{22}(?=:|$)/g) ?? []);
		assert.ok(gone.includes(h) && gone.includes(place));
		const left = namesIn(now);
		for (const name of gone)
			assert.ok(!left.has(name), `${name} is named by nothing in the store`);
		const files = dump();
		for (const name of [h, place])
			assert.ok(!files.includes(name), "nor by Redis' files");
		assert.ok(!existsSync(path.join(stack.dir, "uploads", place)));
		assert.deepEqual(filesBelow(path.join(stack.dir, "avatars")), []);
		assert.equal((await fetch(stack.url + recording)).status, 404);
		assert.equal((await ada.get("/api/auth/me")).status, 401, "the token is void");
		assert.equal((await stack.post("/api/auth/login", { email: ada.account.email, password: ada.account.password })).status, 401);
		assert.deepEqual(await others(), keep);
		await refused(stack.dir, ["export", "--email", ada.account.email, "--to", path.join(folder, "gone")], /no account/);
		const again = await stack.post("/api/auth/register", ada.account);
		assert.equal(again.status, 201, "the address may come back");
	});

	test("a person who answered others is forgotten there, and a userId with its sessions and escalations", async () => {
		const other = await stack.session("customer-of-bob");
		await stack.say(other, "I want to speak to a human, urgently", { userId: "customer-of-bob" });
		const [waiting] = await okJson(stack.dir, ["escalations", "list"]);
		await okJson(stack.dir, ["escalations", "take", waiting._id, "--as", bob.account.email]);
		await ok(stack.dir, ["erase", "--yes", "--email", bob.account.email]);
		const shown = await okJson(stack.dir, ["escalations", "show", waiting._id]);
		assert.equal(shown.takenBy, null);
		assert.equal(shown.status, "returned", "the assistant has it again");
		await stack.say(other, "Are you there?", { userId: "customer-of-bob" });
		for (const id of [user, "customer-of-bob"])
			await ok(stack.dir, ["erase", "--yes", "--user", id]);
		const now = [...(await everything(await stack.redis())).keys()];
		assert.deepEqual(now.filter((k) => /^(c|e):/.test(k)), []);
		assert.deepEqual(await okJson(stack.dir, ["escalations", "list"]), []);
	});

	test("the only administrator stays", async () => {
		await refused(stack.dir, ["erase", "--yes", "--email", "root@example.com"], /only administrator/);
	});
});

describe("the sweep", () => {
	test("removes files that nobody has, and no others", async () => {
		const carol = await Person.join(stack, "Carol");
		const robin = await carol.agent();
		const put = await fetch(`${stack.url}/api/agents/${robin._id ?? robin.id}/avatar`, { method: "PUT", body: PNG,
			headers: { ...carol.headers, "content-type": "image/png" } });
		assert.equal(put.status, 200);
		const id = (await carol.ok("POST", "/api/conversations", { agentId: robin._id ?? robin.id }, 201))._id;
		const kept = await record(carol, id, "a recording to keep");
		const name = () => unique("x").padEnd(22, "x").slice(-22).replace(/[^\w-]/g, "x");
		const orphan = path.join(stack.dir, "uploads", name());
		mkdirSync(orphan);
		writeFileSync(path.join(orphan, `${name()}.webm`), "x");
		const image = path.join(stack.dir, "avatars", `${name()}.png`);
		writeFileSync(image, PNG);
		assert.deepEqual(await okJson(stack.dir, ["sweep"]), { recordings: 0, sounds: 0, images: 0 }, "what is young stays");
		assert.deepEqual(await okJson(stack.dir, ["sweep", "--age", "0"]), { recordings: 1, sounds: 0, images: 1 });
		assert.ok(!existsSync(orphan) && !existsSync(image));
		assert.equal((await fetch(stack.url + kept)).status, 200);
		assert.equal(filesBelow(path.join(stack.dir, "avatars")).length, 1);
		await refused(stack.dir, ["sweep", "--age", "-1"], /usage: helpline sweep/, { status: 2 });
	});
});
