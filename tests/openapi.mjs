// The published description of the API, www/openapi.json, as a judge of answers.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const document = JSON.parse(readFileSync(path.join(root, "www", "openapi.json"), "utf8"));

const METHODS = ["get", "post", "put", "delete", "patch"];

// What any address may answer, whatever stands behind it; every other status is listed where it may happen.
const ANYWHERE = new Set([400, 403, 405, 408, 411, 413, 414, 415, 416, 417, 429, 431, 500, 501, 502, 503, 504, 505]);

// What is no part of the API: the pages, the sockets.
const ELSEWHERE = /^\/($|index\.html|app\.|icon\.svg|docs(\/|$)|voice(\/|$)|openapi\.json|\/*socket\.io|_helpline)/;

export const resolve = (node) => (node?.$ref ? resolve(node.$ref.slice(2).split("/").reduce((n, key) => n[unescape(key)], document)) : node);
const unescape = (key) => key.replace(/~1/g, "/").replace(/~0/g, "~");
const pointer = (...keys) => `#/${keys.map((key) => String(key).replace(/~/g, "~0").replace(/\//g, "~1")).join("/")}`;

// Every operation: { method, path, matches, operation, at } where at leads to it in the document.
export const operations = Object.entries(document.paths).flatMap(([template, item]) => METHODS.filter((m) => item[m]).map((m) => ({
	method: m.toUpperCase(), path: template, operation: item[m], at: ["paths", template, m],
	matches: new RegExp(`^${template.replace(/[.]/g, "\\.").replace(/\{[^}]+\}/g, "[^/]+")}$`),
}))).sort((a, b) => a.path.includes("{") - b.path.includes("{"));

// ---- schemas -------------------------------------------------------------------------------------------------------

// A description for others leaves room for members to come; ours is held to what it says.
function closed(schema) {
	if (Array.isArray(schema))
		return schema.map(closed);
	if (schema === null || typeof schema !== "object")
		return schema;
	const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, ["example", "const", "enum"].includes(key) ? value : closed(value)]));
	if (schema.properties && [schema.type].flat().includes("object") && schema.additionalProperties === undefined)
		copy.additionalProperties = false;
	return copy;
}

function judge(root) {
	const ajv = new Ajv({ strict: false, allErrors: false, verbose: false });
	addFormats(ajv);
	ajv.addSchema({ $id: "helpline", ...root });
	const compiled = new Map();
	return (where, value) => {
		if (!compiled.has(where))
			compiled.set(where, ajv.compile({ $ref: `helpline${where}` }));
		const valid = compiled.get(where);
		return valid(value) ? null : valid.errors.map((e) => `${e.instancePath || "the body"} ${e.message} ${JSON.stringify(e.params)}`).join("; ");
	};
}

const asWritten = judge(document);
const exact = judge(closed(document));

// Where a response or a request body of an operation is written, references followed.
function place(at, ...keys) {
	const node = [...at, ...keys].reduce((n, key) => resolve(n)?.[key], document);
	return node?.$ref ? node.$ref : pointer(...at, ...keys);
}

const nodeAt = (where) => where.slice(2).split("/").reduce((n, key) => n?.[decodeURIComponent(unescape(key))], document);
const below = (where, ...keys) => `${where}/${pointer(...keys).slice(2)}`;
const uri = (where) => where.replace(/[{}]/g, (c) => encodeURIComponent(c));

// ---- one answer ----------------------------------------------------------------------------------------------------

function parsed(text) {
	try {
		return { value: JSON.parse(text) };
	} catch {
		return { trouble: `is no JSON: ${text.slice(0, 100)}` };
	}
}

// Events of a stream: deltas, then the whole body as a message, or an error. One that was cut off has neither.
function checkEvents(text, where) {
	for (const event of text.split("\n\n").slice(0, -1)) {
		const lines = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
		const { value, trouble } = parsed(lines.data ?? "");
		if (trouble)
			return `an event ${trouble}`;
		if (!lines.id || !["delta", "message", "error"].includes(lines.event))
			return `an event is no delta, no message and no error: ${event.slice(0, 100)}`;
		if (lines.event === "error") {
			const bad = exact("#/components/schemas/Problem", value);
			if (bad)
				return `event error: ${bad}`;
			continue;
		}
		const wrong = lines.event === "message" ? exact(where, value)
			: !(Number.isInteger(value.attempt) && Number.isInteger(value.index) && typeof value.text === "string") && `delta ${lines.data}`;
		if (wrong)
			return `event ${lines.event}: ${wrong}`;
	}
	return null;
}

function checkBody(record, where) {
	const content = nodeAt(where).content;
	const type = (record.headers["content-type"] ?? "").split(";")[0].trim();
	if (record.method === "HEAD" || record.status === 304)
		return null;
	if (!content)
		return record.text ? `has a body, ${type}, where none is described` : null;
	if (!content[type])
		return `is ${type || "without a type"}, described as ${Object.keys(content).join(", ")}`;
	if (record.text === undefined || !content[type].schema)
		return null;
	if (type === "text/event-stream")
		return checkEvents(record.text, uri(below(where, "content", "application/json", "schema")));
	if (!/json$/.test(type))
		return null;
	const { value, trouble } = parsed(record.text);
	return trouble ?? exact(uri(below(where, "content", type, "schema")), value);
}

// What was accepted must have been allowed.
function checkSent(record, found) {
	const content = resolve(found.operation.requestBody)?.content?.["application/json"];
	if (!content || record.sent === undefined || record.sent === "" || record.status >= 300)
		return null;
	const { value } = parsed(record.sent);
	const wrong = asWritten(uri(below(place(found.at, "requestBody"), "content", "application/json", "schema")), value);
	return wrong && `was accepted, but the request: ${wrong} (${record.sent.slice(0, 200)})`;
}

function checkHeaders({ status, headers, target }) {
	if (!headers["x-request-id"])
		return "has no X-Request-Id";
	if ((status === 429 || status === 503) && (target.startsWith("/v1/") || /problem/.test(headers["content-type"])) && !(Number(headers["retry-after"]) >= 1))
		return "has no Retry-After";
	if (status === 401 && !/^Bearer/.test(headers["www-authenticate"] ?? ""))
		return "has no WWW-Authenticate";
	return null;
}

// What a client must know to read an answer, or to ask again, is described where it comes.
const DESCRIBED = { "etag": "ETag", "link": "Link", "content-encoding": "Content-Encoding" };

function checkDescribed({ status, headers }, where) {
	const described = nodeAt(where).headers ?? {};
	const missing = Object.keys(DESCRIBED).find((name) => status === 200 && headers[name] !== undefined && !described[DESCRIBED[name]]);
	if (missing)
		return `has ${DESCRIBED[missing]}, which is not described`;
	const coding = resolve(described["Content-Encoding"])?.schema.const;
	return headers["content-encoding"] !== undefined && status === 200 && headers["content-encoding"] !== coding
		? `is packed as ${headers["content-encoding"]}, described as ${coding}` : null;
}

// Addresses below /v1/ speak as OpenAI's.
const problem = (record) => checkBody(record, pointer("components", "responses", record.target.startsWith("/v1/") ? "ModelError" : "Problem"));

// What is wrong with an answer { method, target, sent, status, headers, text }, or null; and whose it was.
export function check(record) {
	const address = record.target.split("?")[0].replace(/\/{2,}/g, "/");	// as nginx merges them
	const alike = operations.filter((o) => o.matches.test(address));
	const method = record.method === "HEAD" ? "GET" : record.method;
	const found = alike.find((o) => o.method === method && o.path === alike[0].path) ?? alike.find((o) => o.method === method);
	const verdict = (wrong) => ({ name: found ? `${found.method} ${found.path}` : `${method} ${address}`, found, wrong });

	if (record.method === "OPTIONS")
		return verdict(record.status === 204 ? null : problem(record));
	if (!found) {
		if (record.status >= 400 && (address.startsWith("/v1/") || /problem/.test(record.headers["content-type"] ?? "")))
			return verdict(problem(record));
		return verdict(alike.length === 0 && ELSEWHERE.test(address) ? null : `answered ${record.status} and is not in the document`);
	}
	if (!resolve(found.operation.responses[record.status]) && !ANYWHERE.has(record.status))
		return verdict(`answered ${record.status}, which is not in the document`);
	const where = place(found.at, "responses", found.operation.responses[record.status] ? record.status : "default");
	const wrong = checkHeaders(record) ?? checkDescribed(record, where) ?? checkBody(record, where) ?? checkSent(record, found);
	return verdict(wrong && `answered ${record.status}: ${wrong}`);
}

// What a folder of records (record.mjs) shows: { count, complaints: route and reason → test, done: operations that succeeded }.
export function checkRecords(folder) {
	const complaints = new Map();
	const done = new Set();
	let count = 0;
	for (const file of readdirSync(folder))
		for (const line of readFileSync(path.join(folder, file), "utf8").split("\n").filter(Boolean)) {
			const record = JSON.parse(line);
			const { name, found, wrong } = check(record);
			count++;
			if (wrong)
				complaints.set(`${name} ${wrong}`, record.test);
			else if (found && record.status < 300)
				done.add(found.operation.operationId);
		}
	return { count, complaints, done };
}

// ---- the programs' routes ------------------------------------------------------------------------------------------

// Not for the public: nginx has no way to it but pushd's.
const INSIDE = ["POST /push/event"];

// "METHOD /path/{}" of every route of every program, and whose it is: they tell it themselves.
export function programRoutes(build) {
	const folder = path.join(root, "fcgi");
	const programs = readdirSync(folder).filter((name) => name.endsWith(".c") && /\bprogram_main\(/.test(readFileSync(path.join(folder, name), "utf8")));
	const routes = new Map();
	for (const program of programs.map((name) => name.replace(/\.c$/, "")))
		for (const line of execFileSync(path.join(build, program), ["--routes"], { encoding: "utf8" }).trim().split("\n"))
			routes.set(line.replace(/:\w+/g, "{}"), program);
	INSIDE.forEach((inside) => routes.delete(inside));
	return routes;
}
