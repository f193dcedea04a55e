// The description of the API (www/openapi.json) is valid, complete, and served; its page can be read by everybody.
// Whether what servers answer is what it says, run-all.mjs finds out from the answers of all tests.
//
//	HELPLINE_SCREENSHOTS=DIR	keeps pictures of the page there

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { chromium } from "playwright-core";
import { startStack } from "./harness.mjs";
import { check, document, operations, programRoutes, resolve, root } from "./openapi.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const source = (name) => readFileSync(path.join(root, name), "utf8");

describe("the document", () => {
	test("is valid OpenAPI 3.1", async () => {
		const validator = new Validator();
		const { valid, errors } = await validator.validate(structuredClone(document));
		assert.ok(valid, JSON.stringify(errors));
		assert.equal(validator.version, "3.1");
	});

	test("has every route of every program, and no other", () => {
		const routes = programRoutes(process.env.HELPLINE_BUILD);
		assert.ok(routes.size >= 12, "the routes are found");
		const known = new Set(operations.map((o) => `${o.method} ${o.path.replace(/\{[^}]+\}/g, "{}")}`));
		// What nginx answers by itself.
		known.delete("GET /public/avatars/{}");
		known.delete("GET /uploads/{}");
		assert.deepEqual([...routes].filter(([route]) => !known.has(route)), [], "routes that are not in the document");
		assert.deepEqual([...known].filter((route) => !routes.has(route)), [], "in the document, but no program has it");
	});

	test("names the codes of errors that the programs and nginx have", () => {
		const ours = [...source("lib/base/error.h").matchAll(/X\(HL_\w+,\s*(\d+),\s*"(\w+)"/g)].filter(([, status]) => status >= 400 && status !== "499");
		const nginx = /\$helpline_code \{([^}]*)\}/.exec(source("nginx/helpline-http.conf"))[1];
		const codes = new Set([...ours.map((m) => m[2]), ...[...nginx.matchAll(/"(\w+)"/g)].map((m) => m[1])]);
		assert.deepEqual([...document.components.schemas.Problem.properties.code.enum].sort(), [...codes].sort());
	});

	test("gives each operation a name of its own, words, a way to be authorised and answers to failures", () => {
		const names = operations.map((o) => o.operation.operationId);
		assert.equal(new Set(names).size, names.length);
		for (const { operation, method, path: template } of operations) {
			assert.ok(operation.summary && operation.tags?.length === 1 && operation.security, `${method} ${template}`);
			assert.ok(document.tags.some((tag) => tag.name === operation.tags[0]), operation.tags[0]);
			assert.ok(operation.security.length === 0 || "401" in operation.responses, `${method} ${template}: who needs a token may get 401`);
			assert.deepEqual([...template.matchAll(/\{(\w+)\}/g)].map((m) => m[1]),
				(operation.parameters ?? []).map(resolve).filter((p) => p.in === "path").map((p) => p.name), `${method} ${template}`);
		}
	});

	test("has examples that are as it says", () => {
		let seen = 0;
		for (const { method, path: template, operation } of operations) {
			const target = template.replace(/\{[^}]+\}/g, "Rk3vQh2mT8xWc1LrYp0ZuA");
			const headers = { "x-request-id": "1", "retry-after": "1", "www-authenticate": "Bearer" };
			const sent = resolve(operation.requestBody)?.content["application/json"]?.example;
			for (const [status, response] of Object.entries(operation.responses))
				for (const [type, { example }] of Object.entries(resolve(response).content ?? {})) {
					if (example === undefined || !/json$/.test(type))
						continue;
					seen++;
					const record = { method, target, status: Number(status), text: JSON.stringify(example), sent: sent && JSON.stringify(sent),
						headers: { ...headers, "content-type": type } };
					assert.equal(check(record).wrong, null, `${method} ${template}`);
				}
		}
		assert.ok(seen > 100, `${seen} examples`);
	});

	test("is a judge that sees what is wrong", () => {
		const headers = { "content-type": "application/json", "x-request-id": "1" };
		const session = { success: true, sessionId: "Rk3vQh2mT8xWc1LrYp0ZuA", userId: "me", createdAt: "2026-01-31T12:00:00.000Z" };
		const judged = (more, value = session) => check({ method: "POST", target: "/api/v1/chat/session", sent: '{"userId":"me"}', status: 200, headers,
			text: JSON.stringify(value), ...more }).wrong;
		assert.equal(judged({}), null);
		assert.match(judged({}, { ...session, createdAt: "yesterday" }), /createdAt/);
		assert.match(judged({}, { ...session, secret: 1 }), /secret/);
		assert.match(judged({ status: 201 }), /201/);
		assert.match(judged({ status: 404, headers: { ...headers, "content-type": "application/problem+json" } }), /404/);
		assert.match(judged({ headers: { ...headers, "content-type": "text/html" } }), /text\/html/);
		assert.match(judged({ headers: { "content-type": "application/json" } }), /X-Request-Id/);
		assert.match(judged({ sent: '{"userId":7}' }), /userId/);
		assert.match(judged({ target: "/api/v1/chat/secret" }), /not in the document/);
		assert.match(judged({ method: "PUT" }), /not in the document/);
		assert.match(judged({ headers: { ...headers, "content-encoding": "gzip" } }), /Content-Encoding, which is not described/);
		const list = (coding) => check({ method: "GET", target: "/api/conversations", status: 200, headers: { ...headers, "content-encoding": coding }, text: "[]" }).wrong;
		assert.equal(list("gzip"), null);
		assert.match(list("br"), /packed as br/);
	});
});

describe("the server", () => {
	let stack, browser;
	const contexts = [];

	before(async () => {
		stack = await startStack();
		browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"] });
	});
	after(async () => {
		await Promise.all(contexts.map((c) => c.close()));
		await browser?.close();
		await stack?.stop();
	});

	// The page as somebody sees it: { page, trouble } where trouble lists what must not happen.
	async function reader(options, hash = "") {
		const context = await browser.newContext({ reducedMotion: "reduce", ...options });
		contexts.push(context);
		const page = await context.newPage();
		const trouble = [];
		page.on("console", (m) => ["error", "warning"].includes(m.type()) && trouble.push(m.text()));
		page.on("pageerror", (error) => trouble.push(error.stack));
		page.on("request", (r) => new URL(r.url()).host !== new URL(stack.url).host && trouble.push(`another host: ${r.url()}`));
		await page.goto(`${stack.url}/docs/${hash}`);
		await page.waitForSelector("article");
		return { page, trouble };
	}

	const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

	async function picture(page, name) {
		if (!process.env.HELPLINE_SCREENSHOTS)
			return;
		mkdirSync(process.env.HELPLINE_SCREENSHOTS, { recursive: true });
		await page.screenshot({ path: path.join(process.env.HELPLINE_SCREENSHOTS, `docs-${name}.png`) });
	}

	test("gives the document as JSON, compressed, and says when it has not changed", async () => {
		const res = await stack.get("/openapi.json", { "accept-encoding": "gzip" });
		assert.equal(res.status, 200);
		assert.match(res.headers["content-type"], /^application\/json\b/);
		assert.equal(res.headers["content-encoding"], "gzip");
		assert.equal(res.headers["x-content-type-options"], "nosniff");
		assert.deepEqual((await stack.get("/openapi.json")).json, document);
		assert.equal((await stack.get("/openapi.json", { "if-none-match": res.headers.etag })).status, 304);
		assert.equal((await stack.get("/docs/")).status, 200);
		assert.match((await stack.get("/docs/")).headers["content-type"], /^text\/html/);
	});

	test("has each address of the document: none is nginx's own 404", async () => {
		for (const { method, path: template } of operations.filter((o) => !/^\/(public|audio|uploads)\//.test(o.path))) {
			const res = await stack.call(method, template.replace(/\{[^}]+\}/g, "x"), { headers: { "content-type": "application/json" }, body: method === "GET" ? undefined : "{}" });
			assert.ok(!["There is nothing here", "There is nothing at this address"].includes(res.json?.detail), `${method} ${template}: ${res.text}`);
			assert.notEqual(res.status, 405, `${method} ${template}`);
		}
		for (const name of ["ai-avatar.svg", "ai-avatar.png"])
			assert.equal((await stack.get(`/public/avatars/${name}`)).status, 200, name);
	});

	const KINDS = ["sendMessage", "createAgent", "listConversations", "takeEscalation"];

	test("shows every call with its address, members, answers and a curl line, at 1280 and 390 pixels, without complaint", async () => {
		for (const [name, options] of [["wide", { viewport: { width: 1280, height: 900 } }],
			["phone", { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
			["dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }]]) {
			const { page, trouble } = await reader(options);
			assert.deepEqual(await page.$$eval("article", (all) => all.map((n) => n.id)).then((ids) => ids.sort()),
				operations.map((o) => o.operation.operationId).sort());
			await picture(page, `${name}-top`);
			assert.match(await page.innerText("#sendMessage"), /POST\s+\/api\/v1\/chat\/message[\s\S]*clientMessageId[\s\S]*curl -s/);
			assert.equal(await overflow(page), 0, name);
			// Also with everything open, of some that have all kinds of parts: axe takes a minute over all of them.
			await page.$$eval("details", (all, some) => all.forEach((n) => { n.open = some.includes(n.closest("article")?.id); }), KINDS);
			await page.waitForFunction(() => [...document.querySelectorAll("details.inside[open]")].every((n) => n.childElementCount > 1));
			assert.ok(await overflow(page) <= 0, `${name}: nothing is wider than the screen`);
			await page.evaluate(axeSource);
			const { violations } = await page.evaluate((some) => axe.run({ include: [["header"], ["nav"], ...some.map((id) => [`#${id}`])] },
				{ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }), KINDS);
			assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`), [], name);
			assert.deepEqual(trouble, []);
		}
	});

	test("is found through: by words, by keyboard, by an address with a name in it", async () => {
		const { page, trouble } = await reader({ viewport: { width: 1280, height: 900 } }, "#takeEscalation");
		const seen = () => page.$$eval("article", (all) => all.filter((n) => n.offsetParent).map((n) => n.id));
		await page.waitForFunction(() => document.activeElement.id === "takeEscalation-title");
		assert.ok(await page.evaluate(() => Math.abs(document.getElementById("takeEscalation").getBoundingClientRect().top) < 200));
		await page.waitForSelector("#list a[aria-current][href='#takeEscalation']");
		await picture(page, "wide-call");
		await page.keyboard.press("/");
		await page.keyboard.type("refreshtoken login");
		assert.deepEqual(await seen(), ["login"]);
		assert.equal(await page.innerText("#found"), `1 of ${operations.length} found`);
		await page.keyboard.press("Enter");
		await page.waitForFunction(() => document.activeElement.id === "login-title");
		await page.fill("#search", "xyzzy");
		assert.deepEqual(await seen(), []);
		assert.equal(await page.innerText("#found"), "Nothing found");
		// A link to what the search hides ends the search.
		await page.evaluate(() => { location.hash = "schema-Problem"; });
		await page.waitForFunction(() => document.getElementById("schema-Problem").open);
		assert.equal((await seen()).length, operations.length);
		assert.match(await page.innerText("#schema-Problem"), /RFC 9457[\s\S]*detail/);
		assert.deepEqual(trouble, []);
	});

	test("on a phone its contents are behind a button, and a choice closes them", async () => {
		const { page, trouble } = await reader({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
		const menu = page.locator("#menu");
		assert.equal(await page.isVisible("#list"), false);
		await menu.tap();
		assert.equal(await menu.getAttribute("aria-expanded"), "true");
		await page.fill("#search", "satisfaction");
		await picture(page, "phone-menu");
		await page.keyboard.press("Escape");
		assert.equal(await page.isVisible("#list"), false);
		assert.equal(await page.evaluate(() => document.activeElement.id), "menu");
		await menu.tap();
		await page.tap("#list a[href='#changeConversation']");
		assert.equal(await page.isVisible("#list"), false);
		await page.waitForFunction(() => document.activeElement.id === "changeConversation-title");
		await picture(page, "phone-call");
		assert.deepEqual(trouble, []);
	});

	test("its curl lines are commands that a shell takes as they are", async () => {
		const { page } = await reader({ viewport: { width: 1280, height: 900 } });
		const lines = await page.$$eval("article", (all) => all.map((n) => [n.id, n.querySelector(".code code").textContent]));
		for (const [id, line] of lines) {
			const words = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }; token=t; ${line}`], { encoding: "utf8" }).split("\0");
			const { method, operation } = operations.find((o) => o.operation.operationId === id);
			const body = words[words.indexOf("-d") + 1];
			const example = resolve(operation.requestBody)?.content["application/json"]?.example;
			if (example !== undefined)
				assert.deepEqual(JSON.parse(body), example, id);
			const sends = ["-d", "-F", "--data-binary"].some((option) => words.includes(option));
			assert.equal(words.includes("-X") ? words[words.indexOf("-X") + 1] : sends ? "POST" : "GET", method, id);
			assert.equal(words.includes("Authorization: Bearer t"), operation.security.length > 0, id);
		}
	});
});
