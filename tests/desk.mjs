// The hands of a person at the desk, for tests: an account that is made as the public application makes one, and calls
// in its name.

import assert from "node:assert/strict";
import { unique } from "./harness.mjs";

// Settings that make passwords cheap: what they cost is the business of other tests.
export const DESK_ENV = { BCRYPT_COST: "4" };

export const AGENT = {
	name: "Robin", companyName: "Acme Garden Tools", personality: "kind and brief", companyInfo: "We sell garden tools.",
	prompts: ["Be honest about delivery times."],
};

export class Person {
	constructor(stack, { token, user }) {
		this.stack = stack;
		this.token = token;
		this.user = user;
		this.headers = { authorization: `Bearer ${token}` };
	}

	// Registers somebody new.
	static async join(stack, name = "Ada Lovelace") {
		const account = { name, email: `${unique("person")}@example.com`, password: "Secret-passw0rd" };
		const res = await stack.post("/api/auth/register", account);
		assert.equal(res.status, 201, res.text);
		return Object.assign(new Person(stack, res.json), { account });
	}

	call(method, target, body, headers) {
		return this.stack.call(method, target, { body, headers: { ...this.headers, ...headers } });
	}

	get(target, headers) {
		return this.call("GET", target, undefined, headers);
	}

	post(target, body, headers) {
		return this.call("POST", target, body, headers);
	}

	put(target, body, headers) {
		return this.call("PUT", target, body, headers);
	}

	delete(target) {
		return this.call("DELETE", target);
	}

	// The same, when it must succeed: the body.
	async ok(method, target, body, status = 200, headers = undefined) {
		const res = await this.call(method, target, body, headers);
		assert.equal(res.status, status, `${method} ${target}: ${res.text}`);
		return res.json;
	}

	agent(more = {}) {
		return this.ok("POST", "/api/agents", { ...AGENT, ...more }, 201);
	}

	// A conversation with an agent, or with the simulator if there is none.
	conversation(agentId = undefined, more = {}) {
		return this.ok("POST", "/api/conversations", { ...(agentId ? { agentId } : { isCallSimulator: true }), ...more }, 201);
	}

	say(id, content, more = {}) {
		return this.ok("POST", `/api/conversations/${id}/messages`, { role: "user", content, ...more }, 201);
	}

	read(id) {
		return this.ok("GET", `/api/conversations/${id}`);
	}

	list(query = "") {
		return this.ok("GET", `/api/conversations${query}`);
	}

	statistics() {
		return this.ok("GET", `/api/conversations/stats/user/${this.user._id}`);
	}
}
