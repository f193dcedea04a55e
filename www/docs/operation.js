// One call: what it does, what it takes, what it gives; beside it a curl line and examples.

import { make, inline, words, codeBox } from "./parts.js";

const PLACES = { path: "In the address", query: "In the query", header: "Headers" };

// Where the API is: the pages may lie below a prefix.
export const installation = new URL("..", location.href).href.replace(/\/$/, "");

const isSuccess = (status) => /^[23]/.test(status);
const pretty = (value) => JSON.stringify(value, null, 2);
const spaced = (value) => JSON.stringify(value, null, 1).replace(/\n */g, " ");
const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

function heading(text) {
	return make("h4", "", text);
}

// ---- curl ----

function address(o, parameters) {
	const path = o.path.replace(/\{(\w+)\}/g, (_, name) => parameters.find((p) => p.name === name)?.example ?? `{${name}}`);
	const query = parameters.filter((p) => p.in === "query" && p.required).map((p) => `${p.name}=${encodeURIComponent(p.example ?? "…")}`);
	return installation + path + (query.length ? `?${query.join("&")}` : "");
}

function curl(o, schemas) {
	const parameters = (o.parameters ?? []).map((p) => schemas.resolve(p));
	const content = schemas.resolve(o.requestBody)?.content ?? {};
	const [type, body] = Object.entries(content)[0] ?? [];
	const lines = [`curl -s ${o.method === "GET" || (o.method === "POST" && body) ? "" : `-X ${o.method} `}${quoted(address(o, parameters))}`];
	if (o.security.length)
		lines.push(`-H "Authorization: Bearer $token"`);
	if (type === "multipart/form-data") {		// curl names it, with its boundary
		lines.push(...(body.schema.required ?? []).map((name) => `-F ${name}=@file`));
		return lines.join(" \\\n  ");
	}
	if (body)
		lines.push(`-H ${quoted(`Content-Type: ${type}`)}`);
	if (body && body.example !== undefined)
		lines.push(`-d ${quoted(spaced(body.example))}`);
	else if (body)
		lines.push("--data-binary @file");
	return lines.join(" \\\n  ");
}

// ---- the parts ----

function parametersOf(o, schemas) {
	const nodes = [];
	const all = (o.parameters ?? []).map((p) => schemas.resolve(p));
	for (const [place, title] of Object.entries(PLACES)) {
		const some = all.filter((p) => p.in === place);
		if (some.length === 0)
			continue;
		const ul = make("ul", "members");
		ul.append(...some.map((p) => schemas.row(p.name, p.schema, p.required, true, p.description)));
		nodes.push(heading(title), ul);
	}
	return nodes;
}

function requestOf(o, schemas) {
	const request = schemas.resolve(o.requestBody);
	if (!request)
		return [];
	const title = heading("Body");
	if (!request.required)
		title.append(make("span", "aside", "may be absent"));
	return [title, ...Object.entries(request.content).map(([type, { schema }]) => {
		if (!/json$/.test(type))
			return make("p", "text", type);
		return schemas.body(schema);
	})];
}

function successOf(status, response, schemas) {
	const box = make("div", "success");
	const p = make("p", "answer");
	p.append(make("span", "status good", status), " ", ...inline(response.description));
	box.append(p);
	const headers = Object.entries(response.headers ?? {});
	if (headers.length) {
		const ul = make("ul", "members");
		ul.append(...headers.map(([name, header]) => schemas.row(name, schemas.resolve(header).schema, true, false, schemas.resolve(header).description)));
		box.append(ul);
	}
	const types = Object.keys(response.content ?? {});
	if (types.some((type) => type !== "application/json"))
		box.append(make("p", "types", types.join(", ")));
	const schema = response.content?.["application/json"]?.schema;
	if (schema) {
		const inside = schemas.inside(schema);
		const kind = make("p", "kind");
		kind.append(...(schema.properties ? ["object"] : schemas.label(schema)));
		box.append(kind);
		if (inside)
			box.append(schema.properties ? schemas.members(schema) : schemas.lazy("Members", inside.schema));
	}
	return box;
}

function failuresOf(o, schemas) {
	const all = Object.entries(o.responses).filter(([status]) => !isSuccess(status));
	const details = make("details", "failures");
	const summary = make("summary");
	summary.append("Failures ", make("span", "codes", all.map(([status]) => (status === "default" ? "…" : status)).join(" ")));
	details.append(summary);
	const ul = make("ul");
	for (const [status, response] of all) {
		const li = make("li");
		li.append(make("span", "status", status === "default" ? "others" : status), " ", ...inline(schemas.resolve(response).description));
		ul.append(li);
	}
	const p = make("p", "text");
	const a = make("a", "", "problem document");
	a.href = "#schema-Problem";
	p.append("Each is a ", a, ".");
	details.append(ul, p);
	return details;
}

function answersOf(o, schemas) {
	const good = Object.entries(o.responses).filter(([status]) => isSuccess(status));
	return [heading("Answer"), ...good.map(([status, response]) => successOf(status, schemas.resolve(response), schemas)), failuresOf(o, schemas)];
}

function examplesOf(o, schemas) {
	const boxes = [codeBox("curl", curl(o, schemas), false)];
	const body = schemas.resolve(o.requestBody)?.content["application/json"]?.example;
	if (body !== undefined && JSON.stringify(body).length > 100)
		boxes.push(codeBox("Body", pretty(body), true));
	for (const [status, response] of Object.entries(o.responses))
		for (const [type, { example }] of Object.entries((isSuccess(status) && schemas.resolve(response).content) || {})) {
			if (example === undefined)
				continue;
			const isJson = /json$/.test(type);
			boxes.push(codeBox(isJson ? `Answer ${status}` : `Answer ${status}, ${type}`, isJson ? pretty(example) : String(example), isJson));
		}
	return boxes;
}

export function showOperation(o, schemas) {
	const article = make("article");
	article.id = o.operationId;
	article.setAttribute("aria-labelledby", `${o.operationId}-title`);
	const title = make("h3");
	title.id = `${o.operationId}-title`;
	const anchor = make("a", "", o.summary);
	anchor.href = `#${o.operationId}`;
	title.append(anchor);
	const line = make("p", "line");
	const path = make("code", "path");
	path.append(...o.path.split(/(?=\/)/).flatMap((piece) => [make("wbr"), piece]));
	line.append(make("span", `method ${o.method.toLowerCase()}`, o.method), " ", path);
	if (o.security.length)
		line.append(" ", make("span", "lock", "with a token"));
	const told = make("div", "told"), shown = make("div", "shown");
	told.append(title, line, ...words(o.description), ...parametersOf(o, schemas), ...requestOf(o, schemas), ...answersOf(o, schemas));
	shown.append(...examplesOf(o, schemas));
	article.append(told, shown);
	return article;
}

// What a search looks through.
export function searchText(o, schemas) {
	const body = schemas.resolve(o.requestBody)?.content["application/json"]?.schema;
	const answers = Object.values(o.responses).map((r) => schemas.resolve(r).content?.["application/json"]?.schema).filter(Boolean);
	return [o.operationId, o.method, o.path, o.summary, o.description, o.tags[0], ...(o.parameters ?? []).map((p) => schemas.resolve(p).name),
		schemas.text(body), ...answers.map((s) => schemas.text(s))].filter(Boolean).join(" ").toLowerCase();
}
