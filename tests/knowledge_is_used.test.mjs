// What lies in KNOWLEDGE_PATH goes into the prompt and into the sources of the answer; a changed file counts at once.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync, chmodSync, rmSync, mkdirSync, renameSync, unlinkSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor } from "./harness.mjs";

let upstream, stack, folder;

const write = (name, text) => {
	writeFileSync(path.join(folder, `.new-${path.basename(name)}`), text);
	renameSync(path.join(folder, `.new-${path.basename(name)}`), path.join(folder, name));
};

before(async () => {
	folder = mkdtempSync(path.join(tmpdir(), "helpline-knowledge-"));
	chmodSync(folder, 0o755);
	mkdirSync(path.join(folder, "deep", "er"), { recursive: true });
	write("shipping.md", "# Shipping\n\nParcels to Norway take eleven working days.\n\n## Costs\n\nThe zeppelin freight costs 14 euros.\n");
	write("returns.txt", "Returns\n\nYou may send a trombone back within 42 days of its delivery.\n");
	write("deep/er/warranty.md", "# Warranty\n\nA harpsichord is under warranty for nine years.\n");
	write("unicode.md", "# Öffnungszeiten\n\nDas Geschäft in Zürich öffnet um sieben Uhr früh.\n");
	write("ignored.bin", Buffer.from([0, 1, 2, 255]));
	write("broken.md", Buffer.concat([Buffer.from("# Broken\n\nA quetzal \xff\xfe feather ", "latin1"), Buffer.from([0xc3])]));
	symlinkSync("/etc/passwd", path.join(folder, "link.md"));
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { KNOWLEDGE_PATH: folder } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
	rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
	upstream.reset();
	upstream.otherwise = reply("As it is written.");
});

const ask = async (text) => stack.say(await stack.session(), text);

test("the best passage goes into the prompt and is named as a source", async () => {
	const body = await ask("How long do parcels to Norway take?");
	assert.match(upstream.last.raw, /eleven working days/);
	assert.ok(body.sources.length >= 1);
	const [source] = body.sources;
	assert.match(source.source, /shipping\.md/);
	assert.ok(typeof source.title === "string" && source.title);
	assert.match(source.excerpt, /Norway/);
	assert.ok(!JSON.stringify(body.sources).includes(folder), "no path of this host");
	assert.equal(upstream.chats.length, 1);
});

test("text files, deeper folders and other scripts are found", async () => {
	for (const [question, words, file] of [
		["Can I send my trombone back?", /42 days/, /returns\.txt/],
		["How long is the warranty of a harpsichord?", /nine years/, /warranty\.md/],
		["Wann öffnet das Geschäft in Zürich?", /sieben Uhr/, /unicode\.md/],
	]) {
		const body = await ask(question);
		assert.match(upstream.last.raw, words, question);
		assert.match(body.sources[0].source, file);
	}
});

test("what has nothing to do with the question is not quoted", async () => {
	const body = await ask("qwertz asdfgh");
	assert.deepEqual(body.sources, []);
	assert.doesNotMatch(upstream.last.raw, /trombone|harpsichord|zeppelin/);
});

test("a link out of the folder is not followed", async () => {
	const body = await ask("root bin bash daemon nologin");
	assert.doesNotMatch(upstream.last.raw, /root:x:/);
	assert.ok(!JSON.stringify(body.sources).includes("root:x"));
});

test("a changed, a new and a removed file are seen", async () => {
	write("shipping.md", "# Shipping\n\nParcels to Norway take three weeks now.\n");
	await waitFor("the change is seen", async () => {
		await ask("How long do parcels to Norway take?");
		return /three weeks now/.test(upstream.last.raw) && !/eleven working days/.test(upstream.last.raw);
	}, { every: 200 });
	write("vouchers.md", "# Vouchers\n\nThe voucher code for saxophone players is honoured twice.\n");
	await waitFor("the new file is seen", async () => {
		await ask("Is there a voucher for saxophone players?");
		return /honoured twice/.test(upstream.last.raw);
	}, { every: 200 });
	unlinkSync(path.join(folder, "returns.txt"));
	await waitFor("the removed file is forgotten", async () => {
		await ask("Can I send my trombone back?");
		return !/42 days/.test(upstream.last.raw);
	}, { every: 200 });
});

test("search syntax in a question is only words", async () => {
	for (const text of ['"', "parcels AND OR NOT", "NEAR(a b)", "title:x", "*", "a* OR b*", "^x", "(((", "{a b}: c", "'; DROP TABLE passages; --", "-parcels", "\\", "+", "col : \"x", "🙂🙂", "パーセル"]) {
		const body = await ask(text);
		assert.ok(body.response, text);
	}
});

test("the passages never fill the prompt", async () => {
	write("huge.md", `# Huge\n\n${"tuba tuba bassoon euphonium. ".repeat(40_000)}\n`);
	await waitFor("the huge file is seen", async () => {
		await ask("What about the bassoon and the euphonium?");
		return /euphonium/.test(upstream.last.body.messages[0].content) || /bassoon/.test(upstream.last.raw.replace(/What about.*/, ""));
	}, { every: 200 });
	assert.ok(upstream.last.raw.length < 40_000, `${upstream.last.raw.length} bytes`);
});

test("a file that cannot be used is named in the log, once", async () => {
	write("huge.txt", "x".repeat((2 << 20) + 1));
	const told = () => stack.log().match(/event=knowledge_left_out file=huge\.txt problem="it is larger than 2 MB/g)?.length ?? 0;
	await waitFor("it is told", async () => {
		await stack.say(await stack.session(), "Where is Norway?");
		return told() > 0;
	});
	await stack.say(await stack.session(), "And where is Zurich?");
	unlinkSync(path.join(folder, "huge.txt"));
	assert.ok(told() <= 2, "by each program that looks");
});
