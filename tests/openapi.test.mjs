// The description of the API (www/openapi.json) is valid, complete, and served; its page can be read by everybody.
// Whether what servers answer is what it says, run-all.mjs finds out from the answers of all tests.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { check, document, operations, programRoutes, resolve, root } from "./openapi.mjs";

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
	});
});
