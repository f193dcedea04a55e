// The chat page in a real Chromium: what a visitor with a mouse, a keyboard, a phone or a screen reader meets, on a good
// connection and on a bad one.
//
//	HELPLINE_SCREENSHOTS=DIR	keeps pictures of the states there

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, runScript, waitFor, pause } from "./harness.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.HELPLINE_SCREENSHOTS;
const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const PHONE = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const ANSWER = "Standard delivery within Germany takes **2 to 3 working days**. Orders before 14:00 leave the same day.\n\n"
	+ "| Destination | Standard | Express |\n|---|---|---|\n| Germany | 2 to 3 days | next day |\n| Austria | 3 to 5 days | 2 days |\n\n"
	+ "1. Open *My orders*\n2. Choose `Track`\n\n### More\n\nMore at https://lanternandleaf.example/delivery.";

let upstream, stack, browser;
const contexts = [];

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
	browser = await chromium.launch({
		executablePath,
		args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync"],
	});
});
after(async () => {
	await browser?.close();
	await stack?.stop();
	await upstream?.close();
});
beforeEach(async () => {
	upstream.reset();
	await Promise.all(contexts.splice(0).map((c) => c.close()));
});

// A visitor of his own: { page, context, trouble } where trouble lists what must not happen on a page that is well.
async function visitor({ init, at = stack, ...options } = {}) {
	const context = await browser.newContext(options);
	contexts.push(context);
	const trouble = [];
	await context.addInitScript(() => {
		document.addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
	});
	if (init)
		await context.addInitScript(init);
	return { context, trouble, page: await tab(context, trouble, at) };
}

async function tab(context, trouble, at = stack) {
	const page = await context.newPage();
	page.on("console", (m) => {
		if (["error", "warning"].includes(m.type()))
			trouble.push(`console: ${m.text()}`);
	});
	page.on("pageerror", (error) => trouble.push(`exception: ${error.stack}`));
	page.on("dialog", (dialog) => {
		trouble.push(`dialog: ${dialog.message()}`);
		dialog.dismiss();
	});
	for (const event of ["request", "websocket"])
		page.on(event, (r) => {
			if (new URL(r.url()).host !== new URL(at.url).host)
				trouble.push(`another host: ${r.url()}`);
		});
	await page.goto(at.url);
	return page;
}

const online = (page) => page.waitForSelector("#status[data-state=online]");
const texts = (page, who) => page.$$eval(`#log .${who} .text`, (all) => all.map((n) => n.innerText.trim()));
const answers = (page, n) => page.waitForFunction((count) => document.querySelectorAll("#log .bot").length >= count, n);
const sessionOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("helpline.session")));

async function write(page, words) {
	await page.fill("#message", words);
	await page.press("#message", "Enter");
}

async function picture(page, name) {
	if (!pictures)
		return;
	mkdirSync(pictures, { recursive: true });
	await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

async function accessible(page, what) {
	await page.evaluate(axeSource);
	const { violations } = await page.evaluate(() => axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	}));
	assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`), [], what);
}

async function fitsWidth(page) {
	const [wide, screen, inner] = await page.evaluate(() => {
		const s = document.getElementById("scroll");
		return [document.documentElement.scrollWidth, innerWidth, s.scrollWidth - s.clientWidth];
	});
	assert.ok(wide <= screen, `the page is ${wide} wide on a screen of ${screen}`);
	assert.ok(inner <= 0, "the conversation does not scroll sideways");
}

// What every session must come to: each of the messages once, in order, on the server and on the page.
async function saidOnce(page, expected) {
	let history;
	await waitFor("everything is answered, and the page shows it", async () => {
		history = await stack.history(await sessionOf(page));
		return history.at(-1)?.role === "assistant" && !await page.isVisible("#draft") && (await page.$$("#log .waiting")).length === 0
			&& (await page.$$("#log .message")).length === history.length
			&& history.filter((m) => m.role === "user").length >= expected.length;
	}, { ms: 30_000, every: 100 });
	assert.deepEqual(history.filter((m) => m.role === "user").map((m) => m.content), expected);
	assert.deepEqual(await texts(page, "user"), expected);
	assert.deepEqual(await texts(page, "bot"), history.filter((m) => m.role === "assistant").map((m) => m.content));
}

describe("a question", () => {
	test("is answered while the model writes, with sources, and without a complaint of the browser", async () => {
		const { page, trouble } = await visitor({ viewport: { width: 1180, height: 800 } });
		await online(page);
		await picture(page, "desktop-welcome");
		upstream.next(said(ANSWER, { confidence: 0.9 }, { tokenDelay: 40 }));
		await write(page, "Hi! How long does delivery take?");
		await page.waitForSelector("#draft .text");
		const early = await page.innerText("#draft .text");
		assert.ok(early.length > 0 && early.length < 300 && "Standard".startsWith(early.slice(0, 8)), early);
		assert.equal(await page.evaluate(() => document.getElementById("log").contains(document.getElementById("draft"))), false,
			"a screen reader is not told each piece");
		await page.waitForFunction((n) => document.querySelector("#draft .text")?.innerText.length > n, early.length + 40);
		await picture(page, "desktop-writing");
		await answers(page, 1);
		assert.equal(await page.isVisible("#draft"), false);
		assert.equal(await page.innerText("#log .bot strong"), "2 to 3 working days");
		assert.equal((await page.$$("#log .bot tbody tr")).length, 2);
		assert.equal(await page.getAttribute("#log .bot a", "href"), "https://lanternandleaf.example/delivery");
		assert.equal(await page.getAttribute("#log .bot a", "rel"), "noopener noreferrer");
		await page.click("#log .sources summary");
		assert.ok((await page.innerText("#log .sources li")).length > 20);
		assert.equal(await page.inputValue("#message"), "");
		await picture(page, "desktop-answer");
		await accessible(page, "with an answer");
		assert.deepEqual(trouble, []);
	});

	test("of the welcome page is asked by pressing it", async () => {
		const { page } = await visitor();
		upstream.next(said("In two days.", { confidence: 0.9 }));
		await page.click("#examples button");
		await answers(page, 1);
		assert.deepEqual(await texts(page, "user"), ["How long does delivery take?"]);
		assert.equal(await page.isVisible("#welcome"), false);
		assert.equal(await page.evaluate(() => document.activeElement.id), "message");
	});

	test("for a person is heard, told and remembered", async () => {
		const { page, trouble } = await visitor({ viewport: { width: 1180, height: 800 } });
		await page.click("#person-button");
		await page.waitForSelector("#escalated:not([hidden])");
		assert.match(await page.innerText("#escalated"), /A person has been asked to join/);
		await answers(page, 1);
		assert.equal(await page.isVisible("#person-button"), false);
		assert.equal(await page.isVisible("#no-model"), false, "a model is connected, though it was not asked");
		await picture(page, "desktop-escalated");
		await accessible(page, "escalated");
		await page.reload();
		await page.waitForSelector("#escalated:not([hidden])");
		assert.deepEqual(trouble, []);
	});

	test("goes by long-polling where there is no WebSocket", async () => {
		const { page, trouble } = await visitor({ init: () => { delete window.WebSocket; } });
		await online(page);
		upstream.next(reply("Word after word after word, over polls.", { tokenDelay: 60 }));
		await write(page, "Are you there?");
		await page.waitForSelector("#draft .text");
		await saidOnce(page, ["Are you there?"]);
		assert.deepEqual(trouble, []);
	});

	test("goes by REST where there is no socket at all, streamed all the same", async () => {
		const { context, page } = await visitor();
		await context.route("**/socket.io/**", (route) => route.abort());
		await context.addInitScript(() => { delete window.WebSocket; });
		await page.reload();
		upstream.next(reply("Word after word after word, over REST.", { tokenDelay: 60 }), reply("And again."));
		await write(page, "Are you there?");
		await page.waitForSelector("#draft .text");
		await saidOnce(page, ["Are you there?"]);
		await write(page, "And now?");
		await saidOnce(page, ["Are you there?", "And now?"]);
		assert.equal(await page.getAttribute("#status", "data-state"), "slow");
	});
});

describe("what people and models write", () => {
	const EVIL = [
		"<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "[click](javascript:alert(3))",
		"<a href=\"javascript:alert(4)\">x</a>", "![pixel](https://evil.example/p.png)", "<svg/onload=alert(5)>",
		"[data](data:text/html,<script>alert(6)</script>)", "[tab](java\tscript:alert(7))", "<https://ok.example/?q=\"><script>alert(8)</script>>",
		"[x](vbscript:alert(9))", "[rel](//evil.example/)", "&lt;b&gt; <b style=color:red>bold</b>",
	].join("\n\n");

	test("stays text", async () => {
		const { page, trouble } = await visitor();
		upstream.next(said(EVIL, { confidence: 0.9 }, { tokenDelay: 5 }));
		await write(page, EVIL);
		await answers(page, 1);
		assert.equal((await texts(page, "user"))[0], EVIL.trim());
		const found = await page.$$eval("#log .text *", (all) => all.map((n) => [n.localName, ...n.getAttributeNames()].join(" ")));
		assert.deepEqual([...new Set(found)].sort(), ["a href target rel", "br", "p"].filter((f) => found.includes(f)));
		const links = await page.$$eval("#log .text a", (all) => all.map((a) => a.protocol));
		assert.ok(links.length > 0 && links.every((p) => p === "https:"), links.join());
		const shown = (await texts(page, "bot"))[0];
		assert.ok(shown.includes("<script>alert(1)</script>") && shown.includes("<img src=x onerror=alert(2)>"), shown);
		assert.ok(shown.includes("Picture: pixel"), "a picture is a link, and is not loaded");
		await pause(200);
		assert.deepEqual(trouble, []);
	});

	test("runs from right to left where its script does", async () => {
		const { page } = await visitor();
		upstream.next(said("המשלוח מגיע תוך 3 ימים.\n\nIn English it takes as long, and the lines begin where they do in English.\n\nThree days.", { confidence: 0.9 }));
		await write(page, "מתי מגיע המשלוח?");
		await answers(page, 1);
		const ends = (selector) => page.$eval(selector, (node) => {
			const range = document.createRange(), { left, right } = node.getBoundingClientRect();
			range.selectNodeContents(node);
			const words = range.getBoundingClientRect();
			range.setStart(node.firstChild, node.firstChild.length - 1);
			const mark = range.getBoundingClientRect();
			return { from: words.left - left > 20 && right - words.right < 20 ? "right" : "left", mark: mark.left < (words.left + words.right) / 2 ? "left" : "right" };
		});
		assert.deepEqual(await ends("#log .bot .text p:nth-child(1)"), { from: "right", mark: "left" });
		assert.deepEqual(await ends("#log .bot .text p:nth-child(3)"), { from: "left", mark: "right" });
		assert.equal((await ends("#log .user .text")).mark, "left");
	});

	test("keeps its lines, and markup of a customer is not interpreted", async () => {
		const { page } = await visitor();
		upstream.next(said("ok", { confidence: 0.9 }));
		await page.click("#message");
		await page.keyboard.type("**one**");
		await page.keyboard.press("Shift+Enter");
		await page.keyboard.type("# two");
		await page.keyboard.press("Enter");
		await saidOnce(page, ["**one**\n# two"]);
	});

	test("is refused with a reason when it is too long, and is not lost", async () => {
		const { page } = await visitor();
		await page.fill("#message", "ü".repeat(8193));
		assert.match(await page.innerText("#left"), /Too long by 2/);
		assert.equal(await page.isDisabled("#send-button"), true);
		await page.press("#message", "Enter");
		assert.equal((await page.inputValue("#message")).length, 8193);
		await page.fill("#message", "ü".repeat(8000));
		assert.match(await page.innerText("#left"), /384 of 16384 left/);
	});
});

// What other programs of the house say to a conversation's sockets, said here on its channel.
async function tell(page, ...events) {
	const redis = await stack.redis();
	const rooms = (await redis.call("PUBSUB", "CHANNELS", "room:*")).map(String);
	assert.equal(rooms.length, 1, "only this test's conversation is open");
	await redis.call("PUBLISH", rooms[0], `0 1000000 -\n${events.map((e) => JSON.stringify(e)).join("\n")}`);
}

async function conversation(options) {
	const all = await visitor(options);
	upstream.next(said("Hello!", { confidence: 0.9 }));
	await online(all.page);
	await write(all.page, "Good morning");
	await answers(all.page, 1);
	await waitFor("other conversations have closed", async () => {
		const redis = await stack.redis();
		return (await redis.call("PUBSUB", "CHANNELS", "room:*")).length === 1;
	});
	return all;
}

describe("the conversation", () => {
	test("survives a reload, and so does what was half written", async () => {
		const { page, trouble } = await visitor();
		upstream.next(said("First *answer*.", { confidence: 0.9 }), said("Second.", { confidence: 0.9 }));
		await write(page, "one");
		await answers(page, 1);
		await write(page, "two");
		await answers(page, 2);
		await page.fill("#message", "three, not yet sent");
		const shown = await page.innerText("#log");
		await page.reload();
		await answers(page, 2);
		await online(page);
		assert.equal(await page.innerText("#log"), shown);
		assert.equal(await page.inputValue("#message"), "three, not yet sent");
		assert.equal(await page.evaluate(() => document.getElementById("scroll").scrollTop
			+ document.getElementById("scroll").clientHeight >= document.getElementById("scroll").scrollHeight - 1), true, "it shows its end");
		assert.deepEqual(trouble, []);
	});

	test("survives a reload in the middle of an answer", async () => {
		const { page } = await visitor();
		upstream.next(reply("A long answer that is being written while the page is loaded again.", { tokenDelay: 120 }));
		await write(page, "Tell me");
		await page.waitForSelector("#draft .text");
		await page.reload();
		await page.waitForSelector("#draft:not([hidden])");
		await saidOnce(page, ["Tell me"]);
	});

	test("that the server has forgotten is followed by a new one, and the visitor is told", async () => {
		const { page } = await visitor();
		await page.evaluate(() => localStorage.setItem("helpline.session", JSON.stringify("A".repeat(22))));
		await page.reload();
		await page.waitForSelector("#note:not([hidden])");
		assert.match(await page.innerText("#note"), /earlier conversation has ended/);
		upstream.next(said("Welcome back.", { confidence: 0.9 }));
		await write(page, "Hello again");
		await saidOnce(page, ["Hello again"]);
	});

	test("that ends while the page is open costs no message, and nobody is said to have been asked in the new one", async () => {
		const { page } = await conversation();
		const redis = await stack.redis();
		await page.click("#person-button");
		await page.waitForSelector("#escalated:not([hidden])");
		await redis.call("FLUSHALL");
		upstream.next(said("A new start.", { confidence: 0.9 }));
		await write(page, "Still there?");
		await page.waitForFunction(() => document.querySelector("#log .bot")?.innerText.includes("A new start."));
		await saidOnce(page, ["Still there?"]);
		assert.deepEqual([await page.isVisible("#escalated"), await page.isVisible("#person-button")], [false, true]);
	});

	test("that is left for a new one is not heard of in it", async () => {
		const { page, trouble } = await conversation();
		let answer;
		upstream.next(() => new Promise((resolve) => { answer = resolve; }), said("New.", { confidence: 0.9 }));
		await write(page, "An old question");
		await upstream.arrived(2);
		const old = await sessionOf(page);
		await page.click("#fresh-button");
		await page.click("#fresh-dialog .primary");
		await write(page, "A new question");
		await answers(page, 1);
		answer(said("An old answer.", { confidence: 0.9 }));
		await waitFor("the old one is answered", async () => (await stack.history(old)).length === 4);
		await saidOnce(page, ["A new question"]);
		const rooms = await (await stack.redis()).call("PUBSUB", "CHANNELS", "room:*");
		assert.equal(rooms.length, 1, "the old one's room has been left");
		assert.deepEqual(trouble, []);
	});

	test("is the same in two tabs", async () => {
		const { context, page, trouble } = await visitor();
		await online(page);
		const other = await tab(context, trouble);
		await online(other);
		upstream.otherwise = said("Yes.", { confidence: 0.9 });
		await write(page, "written here");
		await saidOnce(page, ["written here"]);
		await saidOnce(other, ["written here"]);
		await write(other, "written there");
		await saidOnce(other, ["written here", "written there"]);
		await saidOnce(page, ["written here", "written there"]);
		assert.deepEqual(trouble, []);
	});

	test("can be begun anew", async () => {
		const { page } = await conversation();
		await page.click("#fresh-button");
		await picture(page, "desktop-dialog");
		await page.click("#fresh-dialog .primary");
		await page.waitForSelector("#welcome:not([hidden])");
		upstream.next(said("Hello to you.", { confidence: 0.9 }));
		await write(page, "Hello");
		await saidOnce(page, ["Hello"]);
	});

	test("tells that a person has joined, shows what they write, and that the assistant is back", async () => {
		const { page } = await visitor();
		upstream.next(reply("Hello."));
		await write(page, "I want to talk to a person, please");
		await page.waitForSelector("#escalated:not([hidden])");
		const token = (await runScript(["token", "--user", "mira", "--state-dir", stack.dir])).stdout.trim();
		const desk = (path, body) => stack.call(body ? "POST" : "GET", `/api/escalations${path}`,
			{ body, headers: { authorization: `Bearer ${token}` } });
		const id = (await desk("?status=open")).json.at(-1)._id;
		await desk(`/${id}/take`, {});
		await page.waitForFunction(() => /A person is in this/.test(document.querySelector("#escalated").innerText));
		await desk(`/${id}/reply`, { content: "Hello, this is **Mira**." });
		await page.waitForSelector("#log .person");
		assert.equal(await page.innerText("#log .person .text"), "Hello, this is Mira.");
		await write(page, "Thank you!");
		await page.waitForFunction(() => document.querySelectorAll("#log .user").length === 2);
		await picture(page, "joined");
		await accessible(page, "with a person");
		await page.reload();
		await page.waitForSelector("#log .person");
		await page.waitForFunction(() => /A person is in this/.test(document.querySelector("#escalated").innerText));
		let answer;		// to what has been said since the person spoke
		const held = new Promise((resolve) => { answer = resolve; });
		upstream.reset();
		upstream.next(() => held);
		await desk(`/${id}/return`, {});
		await page.waitForFunction(() => /assistant is back/.test(document.querySelector("#escalated").innerText));
		assert.equal(await page.isVisible("#person-button"), true);
		await picture(page, "back");
		answer(reply("You are welcome."));
		await page.waitForFunction(() => document.querySelectorAll("#log .bot").length === 2);
		await page.locator(".dots").waitFor({ state: "hidden" });
		upstream.next(reply("Yes?"));
		await write(page, "Another thing");
		await page.waitForFunction(() => document.querySelectorAll("#log .bot").length === 3);
		assert.equal(await page.isVisible("#escalated"), false);
	});

	test("shows a person as a person", async () => {
		const { page } = await conversation();
		await tell(page, ["message-received", {
			id: "p1", message: "Hello, this is **Mira**.", timestamp: new Date().toISOString(), isBot: false, needsEscalation: false,
		}]);
		await page.waitForSelector("#log .person");
		assert.match(await page.innerText("#log .person"), /A person from the team/);
		assert.equal(await page.innerText("#log .person .text"), "Hello, this is Mira.");
		assert.match(await page.innerText("#escalated"), /A person is in this conversation/);
		await accessible(page, "with a person");
	});

	test("shows of two attempts at an answer only the later", async () => {
		const { page } = await conversation();
		const delta = (attempt, index, text, id = "d1") => ["message-delta", { id, attempt, index, text }];
		await tell(page, delta(2000, 0, "The first "), delta(2000, 1, "try"));
		await page.waitForFunction(() => document.querySelector("#draft .text")?.innerText === "The first try");
		await tell(page, delta(2001, 0, "Another"), delta(2000, 2, " goes on"), delta(2001, 0, "Another"), delta(2001, 1, " one"));
		await page.waitForFunction(() => document.querySelector("#draft .text")?.innerText === "Another one");
		await tell(page, ["message-received", { id: "d1", message: "Another one.", timestamp: new Date().toISOString(), isBot: true, provider: "openai" }]);
		await page.waitForFunction(() => document.querySelectorAll("#log .bot").length === 2);
		assert.equal(await page.isVisible("#draft"), false);
		await tell(page, delta(2001, 2, " late"), delta(1, 0, "old", "d0"));
		await pause(200);
		assert.equal((await texts(page, "bot")).at(-1), "Another one.");
	});
});

describe("a connection that is lost", () => {
	test("costs no message and doubles none: the network goes and comes back", async () => {
		const { context, page } = await conversation();
		upstream.otherwise = reply("Got it.", { delay: 20 });
		await context.setOffline(true);
		await page.waitForSelector("#status[data-state=offline]");
		await write(page, "first");
		await write(page, "second");
		assert.deepEqual(await page.$$eval("#log .waiting .state", (all) => all.map((n) => n.innerText)),
			["Waiting for the connection", "Waiting for the connection"]);
		await picture(page, "desktop-offline");
		await accessible(page, "offline");
		await context.setOffline(false);
		await online(page);
		await saidOnce(page, ["Good morning", "first", "second"]);
	});

	test("unsent messages survive a reload", async () => {
		const { context, page } = await conversation();
		upstream.otherwise = reply("Got it.");
		await context.route("**/api/**", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
		await context.route("**/socket.io/**", (route) => route.abort());
		await context.addInitScript(() => {
			const real = window.WebSocket;
			window.WebSocket = function (...args) {
				if (!sessionStorage.getItem("allowed"))
					throw new Error("refused");
				return new real(...args);
			};
		});
		await page.reload();
		await answers(page, 1);
		await write(page, "kept");
		await page.waitForSelector("#log .waiting");
		await page.evaluate(() => sessionStorage.setItem("allowed", "1"));
		await context.unroute("**/api/**");
		await context.unroute("**/socket.io/**");
		await page.reload();
		await saidOnce(page, ["Good morning", "kept"]);
	});

	test("the push daemon dies while an answer is written, and messages go on", async () => {
		const { page } = await conversation();
		upstream.next(reply(Array.from({ length: 40 }, (_, i) => `word${i}`).join(" "), { tokenDelay: 50 }));
		upstream.otherwise = reply("Got it.");
		await write(page, "A long one, please");
		await page.waitForSelector("#draft .text");
		const killed = stack.kill("pushd");
		await write(page, "and another");
		await killed;
		await write(page, "and a last one");
		await saidOnce(page, ["Good morning", "A long one, please", "and another", "and a last one"]);
		await online(page);
	});

	test("the chat program dies while it streams an answer over REST", async () => {
		const { context, page } = await visitor();
		await context.route("**/socket.io/**", (route) => route.abort());
		await context.addInitScript(() => { delete window.WebSocket; });
		await page.reload();
		upstream.otherwise = reply(Array.from({ length: 30 }, (_, i) => `word${i}`).join(" "), { tokenDelay: 50 });
		await write(page, "A long one, please");
		await page.waitForSelector("#draft .text");
		await stack.kill("chat");
		await saidOnce(page, ["A long one, please"]);
	});

	test("an acknowledgement that is lost makes no second message", async () => {
		const { page } = await visitor({ init: () => {
			const real = window.WebSocket;
			// The first message's acknowledgement does not arrive: the connection breaks just before.
			window.WebSocket = class extends real {
				send(data) {
					super.send(data);
					if (data.includes('"send-message"') && !window.broken) {
						window.broken = true;
						Object.defineProperty(this, "onmessage", { value: null, writable: true });
						setTimeout(() => this.close(), 300);
					}
				}
			};
		} });
		await online(page);
		upstream.otherwise = reply("Only once.");
		await write(page, "Say it once");
		await saidOnce(page, ["Say it once"]);
		assert.equal(await page.evaluate(() => window.broken), true);
		assert.equal(upstream.chats.length, 1);
	});
});

describe("everybody can use it", () => {
	test("with the keyboard alone", async () => {
		const { page } = await visitor();
		await online(page);
		upstream.next(said("With sources.", { confidence: 0.9 }));
		const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
		const outlined = () => page.evaluate(() => {
			const on = (n) => getComputedStyle(n).outlineStyle !== "none" && parseFloat(getComputedStyle(n).outlineWidth) >= 2;
			return on(document.activeElement) || on(document.activeElement.parentElement);
		});
		assert.equal(await focus(), "message", "one can write at once");
		await page.keyboard.press("Tab");	// past the end, where the browser's own buttons are
		assert.equal(await page.evaluate(() => document.activeElement === document.body), true);
		const seen = [];
		for (let i = 0; i < 8; i++) {
			await page.keyboard.press("Tab");
			seen.push(await focus());
			assert.equal(await outlined(), true, `the focus is seen on ${seen.at(-1)}`);
			if (seen.at(-1) === "message")
				break;
		}
		assert.deepEqual(seen, ["Skip to the message field", "person-button", "scroll", "How long does delivery take?",
			"Can I return something?", "When are you open?", "message"]);
		await page.keyboard.type("How long does delivery take?");
		await page.keyboard.press("Tab");
		assert.equal(await focus(), "send-button");
		await page.keyboard.press("Enter");
		assert.equal(await focus(), "message", "the next one can be written");
		await answers(page, 1);
		while (await focus() !== "4 sources" && !/source/.test(await focus()))
			await page.keyboard.press("Shift+Tab");
		await page.keyboard.press("Enter");
		assert.equal(await page.$eval("#log details", (d) => d.open), true);
		while (await focus() !== "fresh-button")
			await page.keyboard.press("Shift+Tab");
		await page.keyboard.press("Enter");
		assert.equal(await page.isVisible("#fresh-dialog"), true);
		await page.keyboard.press("Escape");
		assert.equal(await page.isVisible("#fresh-dialog"), false);
		assert.equal((await texts(page, "user")).length, 1);
	});

	test("with a screen reader: landmarks, names, a log that tells finished messages once", async () => {
		const { page } = await visitor();
		await online(page);
		await accessible(page, "the welcome page");
		await page.evaluate(() => {
			window.added = [];
			new MutationObserver((list) => list.forEach((m) => m.addedNodes.forEach((n) => window.added.push(n.innerText))))
				.observe(document.getElementById("log"), { childList: true });
		});
		upstream.next(reply("One two three four five six.", { tokenDelay: 40 }));
		await write(page, "Count");
		await answers(page, 1);
		const added = await page.evaluate(() => window.added);
		assert.equal(added.length, 2);
		assert.match(added[1], /^Assistant[^]*One two three four five six\./);
		assert.equal(await page.getAttribute("#log", "role"), "log");
		assert.equal(await page.getAttribute("#log", "aria-live"), "polite");
		await page.reload();
		await answers(page, 1);
		await waitFor("old messages were not read out", async () => await page.getAttribute("#log", "aria-live") === "polite");
		for (const role of ["banner", "main", "log", "textbox"])
			assert.equal(await page.getByRole(role).count(), 1, role);
		assert.equal(await page.getByRole("textbox", { name: "Your message" }).count(), 1);
		assert.equal(await page.getByRole("button", { name: "Send" }).count(), 1);
	});

	test("on a phone: nothing is cut off, nothing scrolls sideways, buttons can be hit", async () => {
		const { page, trouble } = await visitor(PHONE);
		await online(page);
		await picture(page, "phone-welcome");
		await fitsWidth(page);
		upstream.next(said(`${ANSWER}\n\n| ${"Column | ".repeat(12)}\n|${"---|".repeat(12)}\n| ${"value | ".repeat(12)}\n\n${"x".repeat(300)}`, { confidence: 0.9 }));
		await write(page, `How long does delivery take in Lla${"n".repeat(200)}fair?`);
		await answers(page, 1);
		await fitsWidth(page);
		await page.click("#log .sources summary");
		await fitsWidth(page);
		await picture(page, "phone-answer");
		for (const button of ["#person-button", "#fresh-button", "#send-button", "#message"]) {
			const box = await (await page.$(button)).boundingBox();
			assert.ok(box.width >= 40 && box.height >= 40, `${button} is ${box.width} × ${box.height}`);
			assert.ok(box.x >= 0 && box.x + box.width <= 390 && box.y >= 0 && box.y + box.height <= 780, `${button} is on the screen`);
		}
		await page.tap("#person-button");
		await page.waitForSelector("#escalated:not([hidden])");
		await picture(page, "phone-escalated");
		await accessible(page, "on a phone");
		await page.setViewportSize({ width: 320, height: 480 });
		await fitsWidth(page);
		await picture(page, "phone-smallest");
		assert.deepEqual(trouble, []);
	});

	test("in the dark, and without motion", async () => {
		const { page, trouble } = await visitor({ colorScheme: "dark", reducedMotion: "reduce", viewport: { width: 1180, height: 800 } });
		await online(page);
		await picture(page, "dark-welcome");
		await accessible(page, "dark, welcome");
		upstream.next(said(ANSWER, { confidence: 0.9 }, { firstDelay: 300 }));
		await write(page, "How long does delivery take?");
		await page.waitForSelector("#draft .dots");
		assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
		await answers(page, 1);
		await page.click("#log .sources summary");
		await accessible(page, "dark, answered");
		await picture(page, "dark-answer");
		assert.deepEqual(trouble, []);
	});

	test("reading back is not disturbed by a new message", async () => {
		const { page } = await visitor({ viewport: { width: 500, height: 420 } });
		let release;
		const held = new Promise((resolve) => { release = resolve; });
		upstream.next(said(ANSWER, { confidence: 0.9 }), async () => { await held; return reply("News."); });
		await write(page, "one");
		await answers(page, 1);
		await write(page, "two");
		await page.waitForSelector("#draft:not([hidden])");
		await page.evaluate(() => new Promise((seen) => {
			document.getElementById("scroll").addEventListener("scroll", seen, { once: true });
			document.getElementById("scroll").scrollTo({ top: 0, behavior: "instant" });
		}).then(() => true));
		release();
		await answers(page, 2);
		await page.waitForSelector("#to-end:not([hidden])");
		assert.equal(await page.evaluate(() => document.getElementById("scroll").scrollTop), 0);
		await page.click("#to-end");
		await page.waitForSelector("#to-end", { state: "hidden" });
	});
});

describe("without a model", () => {
	let alone;

	before(async () => { alone = await startStack({ env: { MAX_MESSAGE_BYTES: "200" } }); });
	after(async () => {
		await Promise.all(contexts.splice(0).map((c) => c.close()));
		await alone?.stop();
	});

	test("the page says so, and quotes what the company has written", async () => {
		const { page, trouble } = await visitor({ at: alone, viewport: { width: 1180, height: 800 } });
		await page.waitForSelector("#no-model:not([hidden])");
		assert.match(await page.innerText("#no-model"), /No AI model connected/);
		await page.click("#examples button");
		await answers(page, 1);
		assert.match((await texts(page, "bot"))[0], /working days/);
		assert.ok((await page.$$("#log .sources li")).length > 0);
		await page.waitForFunction(() => document.getAnimations().length === 0);
		await picture(page, "desktop-no-model");
		await accessible(page, "without a model");
		assert.deepEqual(trouble, []);
	});

	test("a message that the server refuses says why, and can be changed and sent", async () => {
		const { page } = await visitor({ at: alone });
		await online(page);
		await write(page, "long ".repeat(60));
		await page.waitForSelector("#log .failed");
		assert.match(await page.innerText("#log .failed .state"), /Not sent\. This message is too long/);
		await picture(page, "desktop-refused");
		await accessible(page, "with a refused message");
		await page.reload();
		await page.waitForSelector("#log .failed");
		await page.click("#log .failed button:has-text('Edit')");
		assert.equal(await page.inputValue("#message"), "long ".repeat(60).trim());
		assert.equal((await page.$$("#log .failed")).length, 0);
		await write(page, "When are you open?");
		await answers(page, 1);
	});
});
