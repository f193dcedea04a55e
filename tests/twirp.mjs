// A scriptable LiveKit server: its Twirp routes, spelled as the real one spells them (snake_case with the defaults, 64-bit
// numbers as strings, failures of type application/json exactly, a bad token as plain text), and webhooks as it signs them.
//
//	const livekit = await startTwirp();
//	livekit.next({ status: 503, code: "unavailable", msg: "…" })	one step a call, in order; also { text, type }, { raw }, { stall: true }
//	livekit.worker = "joins" | "waits" | "fails"; livekit.losesDispatches = n
//	livekit.join(room, identity, { kind })				somebody connects; rooms make themselves
//	await livekit.webhook(stack, event)				signed by the server SDK

import http from "node:http";
import { once } from "node:events";
import { createHash, randomBytes } from "node:crypto";
import { AccessToken, TokenVerifier } from "livekit-server-sdk";

export const KEY = "APItestKeyOfHelpline";
export const SECRET = "a-secret-of-livekit-that-only-tests-know-0123456789";

const STATUS = {
	invalid_argument: 400, malformed: 400, out_of_range: 400, unauthenticated: 401, permission_denied: 403, not_found: 404, bad_route: 404,
	canceled: 408, deadline_exceeded: 408, resource_exhausted: 429, failed_precondition: 412, aborted: 409, already_exists: 409,
	unimplemented: 501, unavailable: 503, internal: 500, unknown: 500, dataloss: 500,
};

class Refused extends Error {
	constructor(code, msg) {
		super(msg);
		this.code = code;
	}
}

const id = (kind) => `${kind}_${randomBytes(6).toString("hex")}`;
const snake = (value) => (Array.isArray(value) ? value.map(snake) : value !== null && typeof value === "object"
	? Object.fromEntries(Object.entries(value).map(([k, v]) => [k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), snake(v)])) : value);
const camel = (value) => (Array.isArray(value) ? value.map(camel) : value !== null && typeof value === "object"
	? Object.fromEntries(Object.entries(value).map(([k, v]) => [k.replace(/_([a-z])/g, (_, c) => c.toUpperCase()), camel(v)])) : value);

// proto3 JSON of a webhook: camelCase, and what is a default is left out.
const sparse = (value) => (Array.isArray(value) ? value.map(sparse) : value !== null && typeof value === "object"
	? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, sparse(v)]).filter(([, v]) => v !== "" && v !== "0" && v !== 0 && v !== false &&
		!(Array.isArray(v) && v.length === 0))) : value);

export class Twirp {
	rooms = new Map();
	calls = [];
	steps = [];
	worker = "joins";
	losesDispatches = 0;
	remoteUnmute = false;

	reset() {
		this.rooms.clear();
		this.calls.length = this.steps.length = 0;
		this.worker = "joins";
		this.losesDispatches = 0;
		this.remoteUnmute = false;
	}

	next(...steps) {
		this.steps.push(...steps);
	}

	named(method) {
		return this.calls.filter((c) => c.method === method);
	}

	// The room that its account calls so; names of accounts differ in what stands before.
	room(own) {
		return [...this.rooms.values()].find((r) => r.info.name.slice(23) === own);
	}

	open(name, metadata = "") {
		const now = Date.now();
		if (!this.rooms.has(name))
			this.rooms.set(name, {
				participants: new Map(), egress: [], dispatches: [],
				info: {
					sid: id("RM"), name, empty_timeout: 300, departure_timeout: 20, max_participants: 0, creation_time: String(Math.floor(now / 1000)),
					creation_time_ms: String(now), turn_password: "", enabled_codecs: [{ mime: "audio/opus", fmtp_line: "" }], metadata,
					num_participants: 0, num_publishers: 0, active_recording: false, version: null,
				},
			});
		return this.rooms.get(name);
	}

	join(name, identity, { kind = "STANDARD", tracks = ["AUDIO"] } = {}) {
		const room = this.open(name);
		const now = Date.now();
		const participant = {
			sid: id("PA"), identity, state: "ACTIVE", metadata: "", joined_at: String(Math.floor(now / 1000)), joined_at_ms: String(now), name: `Name of ${identity}`,
			version: 3, permission: null, region: "", is_publisher: tracks.length > 0, kind, attributes: {}, disconnect_reason: "UNKNOWN_REASON",
			tracks: tracks.map((type) => ({ sid: id("TR"), type, name: "", muted: false, width: 0, height: 0, source: type === "AUDIO" ? "MICROPHONE" : "CAMERA",
				mime_type: type === "AUDIO" ? "audio/opus" : "video/vp8", mid: "", codecs: [], stream: "" })),
		};
		room.participants.set(identity, participant);
		room.info.num_participants = room.participants.size;
		return participant;
	}

	// ---- the calls ----

	#find(name) {
		const room = this.rooms.get(name);
		if (!room)
			throw new Refused("not_found", "requested room does not exist");
		return room;
	}

	#person(body) {
		const found = this.rooms.get(body.room)?.participants.get(body.identity);
		if (!found)
			throw new Refused("not_found", "participant does not exist");
		return found;
	}

	methods = {
		"RoomService/CreateRoom": ["roomCreate", (b) => this.open(b.name, b.metadata).info],
		"RoomService/ListRooms": ["roomList", (b) => ({ rooms: [...this.rooms.values()].map((r) => r.info).filter((r) => !b.names?.length || b.names.includes(r.name)) })],
		"RoomService/DeleteRoom": ["roomCreate", (b) => {
			this.#find(b.room);
			this.rooms.delete(b.room);
			return {};
		}],
		"RoomService/UpdateRoomMetadata": ["roomAdmin", (b) => Object.assign(this.#find(b.room).info, { metadata: b.metadata })],
		"RoomService/ListParticipants": ["roomAdmin", (b) => ({ participants: [...(this.rooms.get(b.room)?.participants.values() ?? [])] })],
		"RoomService/GetParticipant": ["roomAdmin", (b) => this.#person(b)],
		"RoomService/RemoveParticipant": ["roomAdmin", (b) => {
			this.#person(b);
			this.rooms.get(b.room).participants.delete(b.identity);
			return {};
		}],
		"RoomService/MutePublishedTrack": ["roomAdmin", (b) => {
			const track = this.#person(b).tracks.find((t) => t.sid === b.track_sid);
			if (!track)
				throw new Refused("not_found", "track is not published");
			if (!b.muted && !this.remoteUnmute)
				throw new Refused("failed_precondition", `remote unmute not enabled in ${b.room}`);
			return { track: Object.assign(track, { muted: b.muted === true }) };
		}],
		"Egress/StartRoomCompositeEgress": ["roomRecord", (b) => {
			const room = this.#find(b.room_name);
			const egress = { egress_id: id("EG"), room_id: room.info.sid, room_name: b.room_name, status: "EGRESS_STARTING", started_at: String(Date.now() * 1e6),
				ended_at: "0", updated_at: "0", file_results: [], error: "", error_code: 0 };
			room.egress.push(egress);
			return egress;
		}],
		"Egress/ListEgress": ["roomRecord", (b) => ({ items: [...this.rooms.values()].flatMap((r) => r.egress).filter((e) => (!b.room_name || e.room_name === b.room_name) &&
			(!b.active || /STARTING|ACTIVE/.test(e.status))) })],
		"Egress/StopEgress": ["roomRecord", (b) => {
			const egress = [...this.rooms.values()].flatMap((r) => r.egress).find((e) => e.egress_id === b.egress_id);
			if (!egress)
				throw new Refused("not_found", "egress not found");
			return Object.assign(egress, { status: "EGRESS_ENDING" });
		}],
		"AgentDispatchService/CreateDispatch": ["roomAdmin", (b) => {
			const dispatch = { id: id("AD"), agent_name: b.agent_name, room: b.room, metadata: b.metadata ?? "",
				state: { jobs: [], created_at: String(Date.now() * 1e6), deleted_at: "0" } };
			if (this.losesDispatches-- > 0)
				return dispatch;
			this.#find(b.room).dispatches.push(dispatch);
			const job = (status) => dispatch.state.jobs.push({ id: id("AJ"), dispatch_id: dispatch.id, type: "JT_ROOM", agent_name: b.agent_name,
				state: { status, error: "", started_at: "0", ended_at: "0", updated_at: "0", participant_identity: "" } });
			if (this.worker === "joins") {
				job("JS_RUNNING");
				this.join(b.room, "agent-1", { kind: "AGENT" });
			} else if (this.worker === "fails")
				job("JS_FAILED");
			return dispatch;
		}],
		"AgentDispatchService/ListDispatch": ["roomAdmin", (b) => ({ agent_dispatches: this.#find(b.room).dispatches.filter((d) => !b.dispatch_id || d.id === b.dispatch_id) })],
		"AgentDispatchService/DeleteDispatch": ["roomAdmin", (b) => {
			const room = this.#find(b.room);
			room.dispatches = room.dispatches.filter((d) => d.id !== b.dispatch_id);
			return {};
		}],
	};

	async #answer(req, text) {
		const method = /^\/twirp\/livekit\.(\w+\/\w+)$/.exec(req.url)?.[1];
		const [grant, run] = this.methods[method] ?? [];
		if (!run || req.method !== "POST")
			throw new Refused("bad_route", `no handler for path ${req.url}`);
		const bearer = /^Bearer (.*)$/.exec(req.headers.authorization ?? "")?.[1];
		let claims;
		try {
			claims = await new TokenVerifier(KEY, SECRET).verify(bearer);
		} catch (error) {
			return { status: 401, type: "text/plain; charset=utf-8", text: `invalid token: ${bearer}, error: ${error.message}` };
		}
		const body = snake(JSON.parse(text));
		this.calls.push({ method, body, sent: JSON.parse(text), claims });
		const step = this.steps.shift();
		if (step?.code)
			throw new Refused(step.code, step.msg ?? "as the test wants it");
		if (step)
			return step;
		// Administration is of the room that the token names.
		if (!claims.video?.[grant] || (grant === "roomAdmin" && claims.video.room !== body.room))
			throw new Refused("unauthenticated", "permissions denied");
		return { status: 200, type: "application/json", text: JSON.stringify(run(body)) };
	}

	async handle(req, res) {
		let text = "";
		for await (const chunk of req)
			text += chunk;
		let answer;
		try {
			answer = await this.#answer(req, text);
		} catch (error) {
			answer = { status: STATUS[error.code] ?? 500, type: "application/json", text: JSON.stringify({ code: error.code ?? "internal", msg: error.message }) };
		}
		if (answer.stall)
			return;
		if (answer.cut)
			return void req.socket.destroy();
		res.writeHead(answer.status ?? 200, { "content-type": answer.type ?? "application/json", ...answer.headers });
		res.end(answer.text);
	}

	// ---- what it tells ----

	// The body of an event about a room that is there, or was.
	event(name, room, more = {}) {
		return { event: name, room: sparse(camel(room.info)), id: id("EV"), createdAt: String(Math.floor(Date.now() / 1000)), ...sparse(camel(more)) };
	}

	async sign(body, { key = KEY, secret = SECRET, hash = undefined, ttl = "5m" } = {}) {
		const token = new AccessToken(key, secret, { ttl });
		token.sha256 = hash ?? createHash("sha256").update(body).digest("base64");
		return token.toJwt();
	}

	async webhook(stack, event, { headers = {}, ...how } = {}) {
		const body = typeof event === "string" ? event : JSON.stringify(event);
		return stack.call("POST", "/api/livekit/webhook", { body,
			headers: { "content-type": "application/webhook+json", "user-agent": "LiveKit", authorization: await this.sign(body, how), ...headers } });
	}

	async close() {
		this.server.closeAllConnections();
		this.server.close();
		await once(this.server, "close");
	}
}

export async function startTwirp() {
	const twirp = new Twirp();
	twirp.server = http.createServer((req, res) => twirp.handle(req, res));
	twirp.server.listen(0, "127.0.0.1");
	await once(twirp.server, "listening");
	twirp.url = `ws://127.0.0.1:${twirp.server.address().port}`;
	twirp.env = { LIVEKIT_API_KEY: KEY, LIVEKIT_API_SECRET: SECRET, LIVEKIT_URL: twirp.url };
	return twirp;
}
