// The page of calls in a real Chromium, whose microphone is a file with real speech in it: the words are on the page, and the
// answer is played.
//
//	HELPLINE_SCREENSHOTS=DIR	keeps pictures of the states there

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";
import { startUpstream, reply, serverError } from "./upstream.mjs";
import { startStack, newStateDir, waitFor } from "./harness.mjs";
import { speak, convert, plainWords } from "./sound.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.HELPLINE_SCREENSHOTS;
const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const QUESTION = "How long does delivery take?";
const ANSWER = "Delivery takes two days.";
const PHONE = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

let upstream, stack, browser;
const contexts = [];

before(async () => {
	upstream = await startUpstream({ sound: true });
	stack = await startStack({ upstream, env: { OPENAI_TTS_MODEL: "tts-1", RATE_LIMITS: "off", CALL_PATIENCE: "60000" } });
	const file = path.join(newStateDir(), "said.wav");
	mkdirSync(path.dirname(file), { recursive: true });
	writeFileSync(file, await convert(await speak(QUESTION, { pause: 7 }), "wav", { rate: 48_000 }));
	browser = await chromium.launch({
		executablePath,
		args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
			"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${file}`],
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

async function visitor(options = {}) {
	const context = await browser.newContext(options);
	contexts.push(context);
	const trouble = [];
	await context.addInitScript(() => {
		document.addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
	});
	const page = await context.newPage();
	page.on("console", (m) => ["error", "warning"].includes(m.type()) && trouble.push(`console: ${m.text()}`));
	page.on("pageerror", (error) => trouble.push(`exception: ${error.stack}`));
	page.on("response", (r) => r.status() >= 400 && trouble.push(`${r.status()} ${r.url()}`));
	await page.goto(`${stack.url}/voice/`);
	return { page, trouble };
}

async function picture(page, name) {
	if (!pictures)
		return;
	mkdirSync(pictures, { recursive: true });
	await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

async function accessible(page) {
	await page.evaluate(axeSource);
	const { violations } = await page.evaluate(() => globalThis.axe.run());
	assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`), []);
}

// Most of its words. The file goes round and round, from wherever it is when the call begins, so that what is said first may be
// half a sentence; and "take" is heard as "date" by the whole call, if the browser's samples fall so.
function isQuestion(text) {
	const heard = plainWords(text);
	return plainWords(QUESTION).filter((w) => heard.includes(w)).length >= 3;
}

const captions = (page, who) => page.$$eval(`#captions .${who}`, (all) => all.map((n) => n.lastChild.textContent));

for (const [name, options] of [["phone", PHONE], ["desk", { viewport: { width: 1280, height: 800 } }]])
	test(`a call on a ${name}: what was said is on the page, the answer is played, and it is hung up by keyboard`, async () => {
		upstream.otherwise = reply(ANSWER);
		const { page, trouble } = await visitor(options);
		await accessible(page);
		await picture(page, `voice-${name}-before`);
		assert.notEqual(await page.$eval("#call", (b) => getComputedStyle(b).backgroundColor), "rgba(0, 0, 0, 0)", "a button looks like one");
		await page.focus("#call");
		await page.keyboard.press("Enter");
		await page.waitForSelector("#state[data-state=live], #state[data-state=answering]", { timeout: 20_000 });
		await waitFor("his own level", () => page.$eval("#my-level", (m) => m.value > 0.02), { ms: 30_000, every: 30 });
		await waitFor("his words", async () => {
			const said = await captions(page, "mine");
			assert.ok(said.some(isQuestion), `${await page.innerText("main")}\nheard: ${said.join(" | ")}`);
			return true;
		}, { ms: 90_000 });
		const heard = upstream.hearing.requests.map((r) => r.heard);
		assert.deepEqual((await captions(page, "mine")).filter((t) => !heard.includes(t)), [], "as they were written down");
		await waitFor("the answer", async () => (await captions(page, "theirs")).includes(ANSWER));
		await waitFor("the answer's sound", () => page.$eval("#their-level", (m) => m.value > 0.02), { every: 20 });
		await picture(page, `voice-${name}-answer`);
		await accessible(page);
		assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is cut off at the side");
		assert.ok((await page.$$("#device option")).length > 1, "devices can be chosen");
		await page.focus("#call");
		await page.keyboard.press("Enter");
		await page.waitForSelector("#state[data-state=idle]");
		assert.equal(await page.$eval("#call", (b) => b.getAttribute("aria-pressed")), "false");
		assert.deepEqual(trouble, []);
	});

test("who interrupts is not talked over: the sound stops, and the caption is what was heard", async () => {
	upstream.otherwise = reply(`${"This is a long answer which goes on and on while somebody speaks. ".repeat(8)}`);
	const { page } = await visitor();
	await page.click("#call");
	await waitFor("a caption that was cut", async () => (await captions(page, "theirs")).some((t) => t.endsWith("…")), { ms: 60_000 });
});

// ---- what a customer stumbles over ----

// The page's own part of the call is watched: what it asks the browser for, and what it sends.
async function watched(init) {
	const seen = await visitor();
	const sent = [];
	await seen.page.addInitScript(() => {
		globalThis.asked = [];
		const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
		navigator.mediaDevices.getUserMedia = async (wanted) => {
			globalThis.asked.push(wanted.audio);
			await globalThis.prompt;
			globalThis.stream = await real(wanted);
			return globalThis.stream;
		};
		Object.defineProperty(WebSocket.prototype, "bufferedAmount", { get: () => globalThis.unsent ?? 0 });
	});
	if (init)
		await seen.page.addInitScript(init);
	seen.page.on("websocket", (ws) => ws.on("framesent", ({ payload }) => sent.push(payload)));
	await seen.page.reload();
	return { ...seen, sent, rates: () => sent.filter((p) => typeof p === "string" && p.includes("voice_rate")).map((p) => JSON.parse(p.slice(2))[1].rate) };
}
const inCall = (page) => page.waitForSelector("#state[data-state=live], #state[data-state=answering]", { timeout: 20_000 });
const sound = (sent, from = 0) => sent.slice(from).filter((p) => typeof p !== "string");

test("echo, noise and loudness are seen to; another microphone can be chosen in the call; as much is sent as the connection carries", async () => {
	const { page, sent, rates, trouble } = await watched();
	await page.click("#call");
	await inCall(page);
	const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
	assert.deepEqual(await page.evaluate(() => globalThis.asked), [wanted]);
	const other = await page.$eval("#device", (s) => s.options[s.options.length - 1].value);
	await page.selectOption("#device", other);
	await waitFor("the other one", () => page.evaluate(() => globalThis.asked.length === 2));
	assert.deepEqual(await page.evaluate(() => globalThis.asked[1]), { ...wanted, deviceId: { exact: other } });
	let before = sent.length;
	await waitFor("its sound", () => sound(sent, before).length > 5);
	await page.evaluate(() => { globalThis.unsent = 30_000; });
	await waitFor("fewer samples", () => rates().length === 1);
	before = sent.length;
	const last = await waitFor("sound of that rate", () => sound(sent, before)[5]);
	assert.equal(last.length, 8000 * 2 / 50);
	await page.evaluate(() => { globalThis.unsent = 0; });
	await waitFor("more of them, when it has carried all for a while", () => rates().length === 2, { ms: 30_000 });
	assert.deepEqual(rates(), [8000, 16_000]);
	assert.deepEqual(trouble, []);
});

test("who is muted sees it, and sends nothing that he says", async () => {
	const { page, sent } = await watched();
	await page.click("#call");
	await inCall(page);
	await waitFor("his sound", () => sound(sent).some((b) => b.some((byte) => byte)), { ms: 30_000 });
	const colour = () => page.$eval("#mute", (b) => getComputedStyle(b).backgroundColor);
	const was = await colour();
	await page.click("#mute");
	await waitFor("it is said", () => page.$eval("#state", (s) => s.textContent.includes("muted")));
	assert.notEqual(await colour(), was);
	await accessible(page);
	await picture(page, "voice-muted");
	const before = sent.length;
	await waitFor("silence is sent", () => sound(sent, before).length > 60);
	assert.ok(sound(sent, before + 3).every((b) => b.every((byte) => byte === 0)));
});

test("who hangs up while the browser asks for the microphone has none on, and no error", async () => {
	const { page, trouble } = await watched(() => { globalThis.prompt = new Promise((done) => { globalThis.allow = done; }); });
	await page.click("#call");
	await waitFor("it asks", () => page.evaluate(() => globalThis.asked.length === 1));
	await page.click("#call");
	await page.evaluate(() => globalThis.allow());
	await waitFor("it is off again", () => page.evaluate(() => globalThis.stream?.getTracks().every((t) => t.readyState === "ended")));
	assert.equal(await page.isHidden("#trouble"), true);
	assert.equal(await page.$eval("#state", (s) => s.dataset.state), "idle");
	assert.deepEqual(trouble, []);
	await page.click("#call");
	await inCall(page);
});

test("an answer that cannot be said is there to be read, without Markdown's marks, and the customer has the word", async () => {
	upstream.otherwise = reply("**Two days.** See [our page](https://shop.example/a).\n\n# Also\n`Tea`, 2 * 3 * 4 a_b_c");
	upstream.speech.otherwise = { ...serverError(500) };
	const { page } = await visitor();
	await page.click("#call");
	await waitFor("the answer", async () => (await captions(page, "theirs")).some((t) => t === "Two days. See our page.\n\nAlso\nTea, 2 * 3 * 4 a_b_c"), { ms: 60_000 });
	await waitFor("it is told", async () => (await page.textContent("#trouble")).includes("to be read"));
	await page.waitForSelector("#state[data-state=live]");
});

test("no other page may use the microphone", async () => {
	const policy = async (target) => (await fetch(stack.url + target)).headers.get("permissions-policy");
	assert.match(await policy("/voice/"), /microphone=\(self\)/);
	assert.match(await policy("/"), /microphone=\(\)/);
});

test("the chat's page leads there, on a phone too", async () => {
	const { page, trouble } = await visitor({ viewport: { width: 375, height: 700 } });
	await page.goto(`${stack.url}/`);
	await page.waitForSelector("#call-link:not([hidden])");
	await accessible(page);
	const { width } = await page.locator(".bar").boundingBox();
	for (const one of await page.locator(".bar button:visible, .bar a:visible").all()) {
		const box = await one.boundingBox();
		assert.ok(box.width >= 44 && box.height >= 44 && box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
	}
	assert.equal(await page.getByRole("button", { name: "Talk to a person" }).count(), 1);
	await page.click("#call-link");
	await page.waitForURL(`${stack.url}/voice/`);
	assert.deepEqual(trouble, []);
});
