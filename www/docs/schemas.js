// Schemas in words: what a value is, what its members are. A schema that has a name is opened where it is used.

import { make, inline, words, codeBox } from "./parts.js";

const nameOf = (schema) => schema.$ref?.startsWith("#/components/schemas/") && schema.$ref.split("/").pop();
const kinds = (schema) => [schema.type].flat().filter(Boolean);

export class Schemas {
	constructor(doc) {
		this.doc = doc;
	}

	resolve(node) {
		return node?.$ref ? this.resolve(node.$ref.slice(2).split("/").reduce((n, key) => n[key], this.doc)) : node;
	}

	names() {
		return Object.keys(this.doc.components.schemas);
	}

	// "string", "array of Message", "integer or null", as nodes: names are links.
	label(schema) {
		const name = nameOf(schema);
		if (name) {
			const a = make("a", "", name);
			a.href = `#schema-${name}`;
			return [a];
		}
		if (schema.oneOf)
			return schema.oneOf.flatMap((one, i) => [...(i ? [" or "] : []), ...this.label(one)]);
		if (schema.const !== undefined)
			return [make("code", "", JSON.stringify(schema.const))];
		if (schema.enum)
			return schema.enum.flatMap((one, i) => [...(i ? [" | "] : []), make("code", "", JSON.stringify(one))]);
		if (kinds(schema).includes("array"))
			return ["array of ", ...this.label(schema.items ?? {}), ...(kinds(schema).includes("null") ? [" or null"] : [])];
		return [kinds(schema).join(" or ") || "anything"];
	}

	limits(schema) {
		const list = [];
		const say = (key, text) => {
			if (schema[key] !== undefined)
				list.push(`${text} ${schema[key]}`);
		};
		say("format", "format");
		if (schema.minLength > 1)
			say("minLength", "at least");
		say("maxLength", "at most");
		if (list.some((each) => /^at /.test(each)))
			list.push(`${list.pop()} characters`);
		say("minimum", "from");
		say("maximum", "to");
		say("minItems", "at least");
		say("maxItems", "at most");
		say("default", "default");
		if (schema.pattern && schema.pattern !== "\\S")
			list.push(`pattern ${schema.pattern}`);
		return list.join(" · ");
	}

	// The members that a value has inside, or null: { schema, name }.
	inside(schema) {
		const name = nameOf(schema);
		const own = this.resolve(schema);
		if (own.properties || (name && own.oneOf))
			return { schema: own, name };
		if (kinds(own).includes("array") && own.items)
			return this.inside(own.items);
		if (own.oneOf)
			return own.oneOf.map((one) => this.inside(one)).find(Boolean) ?? null;
		if (own.additionalProperties?.properties || own.additionalProperties?.$ref)
			return this.inside(own.additionalProperties);
		return null;
	}

	// One line of a list: name, kind, whether it must be there; then words; then what is in it, when asked for.
	// sent: it is a client that says it, and must know what is required; of an answer it is told what may be missing.
	row(name, schema, required, sent, more) {
		const li = make("li", "member");
		const head = make("p", "head");
		const own = this.resolve(schema);
		const kind = make("span", "kind");
		kind.append(...this.label(schema));
		head.append(make("code", "member-name", name), " ", kind);
		if (sent && required)
			head.append(" ", make("span", "required", "required"));
		if (!sent && !required)
			head.append(" ", make("span", "optional", "not always there"));
		const limits = nameOf(schema) ? "" : this.limits(own);
		if (limits)
			head.append(" ", make("span", "limits", limits));
		li.append(head);
		const text = more ?? schema.description ?? own.description;
		if (text) {
			const p = make("p", "text");
			p.append(...inline(text));
			li.append(p);
		}
		const inside = this.inside(schema);
		if (inside)
			li.append(this.lazy(`Members of ${inside.name || name}`, inside.schema, sent));
		return li;
	}

	lazy(title, schema, sent) {
		const details = make("details", "inside");
		details.append(make("summary", "", title));
		details.addEventListener("toggle", () => {
			if (details.open && details.childElementCount === 1)
				details.append(this.members(schema, sent));
		});
		return details;
	}

	// The members of an object, or of what the others are made of.
	members(schema, sent) {
		const own = this.resolve(schema);
		if (own.oneOf) {
			const inside = this.inside({ oneOf: own.oneOf });
			return inside ? this.members(inside.schema, sent) : make("p", "text", "");
		}
		if (kinds(own).includes("array") && own.items)
			return this.members(own.items, sent);
		const ul = make("ul", "members");
		for (const [name, member] of Object.entries(own.properties ?? {}))
			ul.append(this.row(name, member, own.required?.includes(name), sent));
		return ul;
	}

	// What a client sends: what it is, its members, if it has some.
	body(schema) {
		const box = make("div", "body");
		const p = make("p", "kind");
		p.append(...this.label(schema));
		const own = this.resolve(schema);
		if (!nameOf(schema) && own.properties)
			p.replaceChildren("object");
		box.append(p);
		const inside = this.inside(schema);
		if (inside)
			box.append(this.members(inside.schema, true));
		return box;
	}

	// Words to be found by.
	text(schema, depth = 4) {
		const own = this.resolve(schema ?? {});
		if (!own || depth === 0)
			return "";
		return [nameOf(schema ?? {}) || "", own.description, ...(own.enum ?? []), ...Object.entries(own.properties ?? {}).flatMap(([name, s]) => [name, this.text(s, depth - 1)]),
			own.items && this.text(own.items, depth - 1)].filter(Boolean).join(" ");
	}

	// All that have names, closed.
	section() {
		const section = make("section", "tag");
		const heading = make("h2", "", "Schemas");
		heading.id = "schemas";
		section.append(heading);
		for (const name of this.names()) {
			const details = make("details", "shape");
			details.id = `schema-${name}`;
			details.append(make("summary", "", name));
			const fill = () => {
				if (details.childElementCount > 1)
					return;
				const schema = this.doc.components.schemas[name];
				details.append(...words(schema.description));
				if (schema.properties || schema.oneOf)
					details.append(this.members(schema));
				details.append(codeBox("JSON Schema", JSON.stringify(schema, null, 2), true));
			};
			details.addEventListener("toggle", () => {
				if (details.open)
					fill();
			});
			section.append(details);
		}
		return section;
	}
}
