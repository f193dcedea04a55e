// Keeps what servers under test answered, for run-all.mjs to compare with the published description of the API
// (openapi.mjs): one line of JSON for each answer, in the folder HELPLINE_RECORD, a file for each process.

import { appendFileSync } from "node:fs";
import path from "node:path";

const folder = process.env.HELPLINE_RECORD;
const BODY_MAX = 64 * 1024;
const ALIKE_MAX = 40;		// what has been seen so often shows nothing new
const FLUSH_AT = 256 * 1024;
const HEADERS = ["content-type", "retry-after", "www-authenticate", "allow", "x-request-id", "etag", "link", "vary", "content-encoding"];

const bases = new Set();
const seen = new Map();
let waiting = "";

function flush() {
	if (waiting)
		appendFileSync(path.join(folder, `${process.pid}.jsonl`), waiting);
	waiting = "";
}

const wordOf = (segment) => (segment.length > 20 || /\d/.test(segment) ? "*" : segment);

// sent and text: the bodies as strings, if they are known.
export function record(base, method, target, sent, status, headers, text) {
	if (!folder || !bases.has(new URL(base).host))
		return;
	const address = target.split("?")[0];
	const kind = [method, address.split("/").map(wordOf).join("/"), status, headers["content-type"]].join(" ");
	const count = (seen.get(kind) ?? 0) + 1;
	seen.set(kind, count);
	if (count > ALIKE_MAX)
		return;
	const kept = Object.fromEntries(HEADERS.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));
	const short = (body) => (body !== undefined && body.length > BODY_MAX ? undefined : body);
	waiting += `${JSON.stringify({ test: path.basename(process.argv[1] ?? ""), method, target, sent: short(sent), status, headers: kept, text: short(text) })}\n`;
	if (waiting.length > FLUSH_AT)
		flush();
}

// What this server answers from now on is kept, to whomever of this process.
export function recordFrom(url) {
	if (folder)
		bases.add(new URL(url).host);
}

if (folder) {
	process.on("exit", flush);
	const plain = globalThis.fetch;
	globalThis.fetch = async (input, options = {}) => {
		const res = await plain(input, options);
		const url = new URL(input instanceof Request ? input.url : input);
		if (bases.has(url.host) && !/event-stream/.test(res.headers.get("content-type") ?? ""))
			record(url.origin, options.method ?? "GET", url.pathname + url.search, typeof options.body === "string" ? options.body : undefined,
				res.status, Object.fromEntries(res.headers), await res.clone().text());
		return res;
	};
}
