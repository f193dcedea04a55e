/*
 * alloc_test - each allocation of a parser, of a FastCGI request at either end and of an acceptance fails once: nothing crashes or leaks,
 * the error says so, and the next attempt works.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <fastcgi.h>

#include "alloc.h"
#include "base/conf.h"
#include "base/engineio.h"
#include "base/json_view.h"
#include "base/socketio.h"
#include "base/sse.h"
#include "loop/task.h"
#include "records/conversation.h"
#include "services/fcgi.h"
#include "services/fcgi_client.h"

#define MOST	500	/* allocations of one body; more is a test that does not end */

/* Runs body with the first allocation failing, then the second …, until it runs through. */
static void
each_allocation(enum hl_err (*body)(void), bool own)
{
	unsigned n = 0;
	enum hl_err err;
	bool failed;

	assert_int_equal(body(), HL_OK);
	do {
		alloc_fail(++n, own);
		err = body();
		failed = alloc_failed();
		if (err != (failed ? HL_NO_MEMORY : HL_OK))
			fail_msg("allocation %u: %s, and it %s", n, err_code(err), failed ? "failed" : "did not");
		assert_int_equal(body(), HL_OK);
	} while (failed && n < MOST);
	assert_in_range(n, 2, MOST - 1);	/* one failed at least */
}

/* ---- codecs ---- */

static enum hl_err
take_event(void *arg, const char *name, const char *data, size_t len)
{
	struct buf *seen = arg;

	if (name)
		buf_puts(seen, name);
	buf_add(seen, data, len);
	return buf_err(seen);
}

static enum hl_err
feed_sse(void)
{
	static const char text[] = "event: delta\ndata: one\ndata: two\n\n: comment\nid: 7\ndata: three\n\n";
	struct buf seen = BUF_INIT(1000);
	enum hl_err err = HL_OK;
	struct sse sse;

	sse_init(&sse);
	for (size_t i = 0; i < sizeof(text) - 1 && err == HL_OK; i++)
		err = sse_feed(&sse, text + i, 1, take_event, &seen);
	if (err == HL_OK)
		assert_string_equal(seen.data, "deltaone\ntwothree");
	sse_free(&sse);
	buf_free(&seen);
	return err;
}

static enum hl_err
read_payload(void)
{
	static const char text[] = "4hello\x1e" "bAQIDBA==\x1e" "2";
	struct buf scratch = BUF_INIT(1000), out = BUF_INIT(1000);
	const char *at = text;
	struct eio_packet packet;
	enum hl_err err = HL_OK;

	while (at && err == HL_OK) {
		err = eio_payload_next(&at, text + sizeof(text) - 1, &scratch, &packet);
		if (err == HL_OK)
			eio_encode(&out, &packet);
	}
	if (err == HL_OK) {
		eio_payload_add(&out, "\1\2\3", 3, true);
		err = buf_err(&out);
	}
	buf_free(&scratch);
	buf_free(&out);
	return err;
}

static enum hl_err
read_packet(void)
{
	static const char text[] = "52-[\"upload\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
	struct sio_decoder decoder = { 0 };
	struct buf out = BUF_INIT(1000);
	struct sio_packet packet;
	bool whole = false;
	enum hl_err err;

	err = sio_feed_text(&decoder, text, sizeof(text) - 1, &packet, &whole);
	for (int i = 0; i < 2 && err == HL_OK; i++)
		err = sio_feed_binary(&decoder, "bytes", 5, &packet, &whole);
	if (err == HL_OK) {
		assert_true(whole);
		sio_encode(&out, &packet);
		err = buf_err(&out);
	}
	sio_decoder_free(&decoder);
	buf_free(&out);
	return err;
}

/* ---- JSON ---- */

static const char json_text[] = "{\"name\":\"Ad\\u00e4\",\"list\":[1,2.5,true,null,\"a string that is longer than others are\"],"
    "\"a\":{\"b\":{\"c\":[{},[]]}},\"k1\":1,\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":7,\"k8\":8,\"k9\":9,"
    "\"k10\":1,\"k11\":1,\"k12\":1,\"k13\":1,\"k14\":1,\"k15\":1,\"k16\":1,\"k17\":1,\"k18\":1}";

static enum hl_err
read_json(void)
{
	struct buf out = BUF_INIT(1000);
	struct json *doc;
	enum hl_err err;

	err = json_parse(json_text, sizeof(json_text) - 1, &doc);
	if (err)
		return err;
	buf_json_str(&out, json_get_string(doc, "name"));
	buf_base64(&out, json_text, 100);
	err = buf_err(&out);
	json_free(doc);
	buf_free(&out);
	return err;
}

static enum hl_err
view_json(void)
{
	struct buf out = BUF_INIT(1000);
	struct json_view view;
	enum hl_err err;

	err = json_view_open(json_text, sizeof(json_text) - 1, JSON_STRICT, &view);
	if (err == HL_OK) {
		(void)json_view_string(json_view_get(view, "name"), &out);
		json_view_write(&out, json_view_get(view, "list"));
		json_view_write(&out, view);
		err = buf_err(&out);
	}
	buf_free(&out);
	return err;
}

/* ---- settings ---- */

static enum hl_err
load_settings(void)
{
	struct buf problem = BUF_INIT(1000);
	struct conf conf;
	enum hl_err err = conf_load(&conf, &problem);

	if (err == HL_OK)
		conf_free(&conf);
	buf_free(&problem);
	return err;
}

static void
codecs(void **state)
{
	(void)state;
	each_allocation(feed_sse, false);
	each_allocation(read_payload, false);
	each_allocation(read_packet, false);
	each_allocation(view_json, false);
	each_allocation(load_settings, false);
}

static void
json_trees(void **state)
{
	(void)state;
	each_allocation(read_json, true);	/* json-c crashes when it has none: json_parse() makes sure before */
}

/* ---- a FastCGI request ---- */

static uv_loop_t *loop;
static struct fcgi_server *server;
static char dir[] = "/tmp/alloc_testXXXXXX";

static void
echo(struct fcgi_request *r, void *arg)
{
	size_t len;
	const char *body = fcgi_body(r, &len);

	(void)arg;
	if (fcgi_write(r, "Status: 200 OK\r\n\r\n", 18) == HL_OK && fcgi_write(r, body, len) == HL_OK)
		(void)!fcgi_flush(r);
}

static struct sockaddr_un
address(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/fcgi.sock", dir);
	return a;
}

static void
put_record(struct buf *b, unsigned char type, const char *content, size_t len)
{
	unsigned char head[8] = { 1, type, 0, 1, (unsigned char)(len >> 8), (unsigned char)len, 0, 0 };

	buf_add(b, head, 8);
	buf_add(b, content, len);
}

static void
put_request(struct buf *b)
{
	static const char begin[8] = { 0, FCGI_RESPONDER, FCGI_KEEP_CONN };
	static const char params[] = "\x0e\x01" "CONTENT_LENGTH5" "\x0c\x05" "DOCUMENT_URI/echo";

	put_record(b, FCGI_BEGIN_REQUEST, begin, 8);
	put_record(b, FCGI_PARAMS, params, sizeof(params) - 1);
	put_record(b, FCGI_PARAMS, "", 0);
	put_record(b, FCGI_STDIN, "hello", 5);
	put_record(b, FCGI_STDIN, "", 0);
}

/* One connection, one request; HL_NO_MEMORY: it was closed or not answered whole, as a caller without memory must be. */
static enum hl_err
ask_server(void)
{
	struct sockaddr_un a = address();
	char request[200], answer[500] = "";
	struct buf b = BUF_INIT(200);
	size_t have = 0, len;
	ssize_t n = -1;
	int fd;

	put_request(&b);
	if (buf_err(&b)) {	/* ours, not the server's */
		buf_free(&b);
		return HL_NO_MEMORY;
	}
	len = b.len;
	memcpy(request, b.data, len);
	buf_free(&b);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(write(fd, request, len), len);
	for (int i = 0; i < 1000; i++) {
		uv_run(loop, UV_RUN_NOWAIT);
		n = recv(fd, answer + have, sizeof(answer) - have, MSG_DONTWAIT);
		if (n > 0)
			have += (size_t)n;
		if (n == 0 || memmem(answer, have, "\1\3\0\1", 4))
			break;
	}
	close(fd);
	for (int i = 0; i < 3; i++)
		uv_run(loop, UV_RUN_NOWAIT);
	return memmem(answer, have, "200 OK", 6) && memmem(answer, have, "hello", 5) ? HL_OK : HL_NO_MEMORY;
}

static void
run_client(void *arg)
{
	static const char *const params[] = { "DOCUMENT_URI", "/echo", NULL };
	const struct fcgi_question q = { .params = params, .body = "hello", .body_len = 5, .total_ms = 10000 };
	const struct sockaddr_un a = address();
	struct buf answer = BUF_INIT(1000);
	struct fcgi_client *client;
	enum hl_err *err = arg;
	int status;

	*err = fcgi_client_new(loop, a.sun_path, &client);
	if (*err == HL_OK)
		*err = fcgi_ask(client, &q, &status, &answer);
	if (*err == HL_OK)
		assert_string_equal(answer.data, "hello");
	fcgi_client_free(client);
	buf_free(&answer);
}

/* HL_UPSTREAM is the server's lack of memory. */
static enum hl_err
ask_by_client(void)
{
	enum hl_err err = HL_NO_MEMORY;
	size_t others = task_count();

	if (task_start(loop, run_client, &err) != HL_OK)
		return HL_NO_MEMORY;
	while (task_count() > others)
		uv_run(loop, UV_RUN_ONCE);
	for (int i = 0; i < 3; i++)
		uv_run(loop, UV_RUN_NOWAIT);
	return err == HL_UPSTREAM ? HL_NO_MEMORY : err;
}

static void
fastcgi_requests(void **state)
{
	struct sockaddr_un a = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(fcgi_serve(loop, fd, echo, NULL, &server), HL_OK);
	each_allocation(ask_server, true);	/* libfcgi and libuv end the program themselves */
	each_allocation(ask_by_client, true);
	fcgi_drain(server, NULL, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	fcgi_free(server);
	for (int i = 0; i < 3; i++)	/* the loop has Redis to wait for, too */
		uv_run(loop, UV_RUN_NOWAIT);
}

/* ---- an acceptance, with a Redis ---- */

static struct crypto *crypto;
static struct store store;
static struct conf conf;
static pid_t redis_pid;

static void
start_redis(const char *path)
{
	redis_pid = fork();
	if (redis_pid == 0) {
		execlp("redis-check-rdb", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", dir,
		    "--logfile", "/dev/null", (char *)NULL);
		_exit(127);
	}
}

static void
wait_connected(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000 && !redis_connected(store.redis) && task_sleep(5) == HL_OK; i++)
		;
}

static int
open_store(void **state)
{
	struct buf problem = BUF_INIT(1000);
	char path[64];

	(void)state;
	loop = uv_default_loop();
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	setenv("REDIS_SOCKET", path, 1);
	start_redis(path);
	if (conf_load(&conf, &problem) || crypto_make_keys(dir, &problem) || crypto_open(dir, &crypto, &problem) ||
	    redis_open(loop, &conf, &store.redis))
		return -1;
	store.crypto = crypto;
	store.conf = &conf;
	if (task_start(loop, wait_connected, NULL))
		return -1;
	while (task_count())
		uv_run(loop, UV_RUN_ONCE);
	return redis_connected(store.redis) ? 0 : -1;
}

static int
close_store(void **state)
{
	char command[64];

	(void)state;
	redis_close(store.redis);
	uv_run(loop, UV_RUN_DEFAULT);
	kill(redis_pid, SIGKILL);
	waitpid(redis_pid, NULL, 0);
	crypto_free(crypto);
	conf_free(&conf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct conversation conv;
static int accepted;	/* how many different messages */

/* A message, its number in its text and in its id; what failed before is repeated with the same id. */
static enum hl_err
accept_message(void)
{
	struct acceptance a;
	struct incoming in = { .id = conv.id, .user_id = "ada", .client_named = true };
	char text[64], id[32];
	enum hl_err err;

	snprintf(text, sizeof(text), "question %d", accepted);
	snprintf(id, sizeof(id), "c%d", accepted);
	in.text = text;
	in.text_len = strlen(text);
	in.client_id = id;
	err = conversation_accept(&store, &in, &a);
	if (err)
		return err;
	assert_int_equal(a.seq, accepted + 1);
	accepted++;
	lease_clear(&a.lease);
	return HL_OK;
}

static void
accept_body(void *arg)
{
	struct limits none = { 0 };
	struct conversation read;
	struct entries all;
	int64_t retry;

	(void)arg;
	for (int i = 0; i < 2; i++) {	/* the second time somebody else runs the turn */
		assert_int_equal(conversation_create(&store, "ada", NULL, false, &none, &conv, &retry), HL_OK);
		accepted = 0;
		each_allocation(accept_message, true);
		assert_int_equal(conversation_read(&store, conv.id, NULL, 0, false, &read, &all), HL_OK);
		assert_int_equal(all.count, accepted);		/* each stored once */
		for (int n = 0; n < accepted; n++)
			assert_int_equal(all.list[n].seq, n + 1);
		entries_free(&all);
		conversation_clear(&read);
		conversation_clear(&conv);
	}
}

static void
acceptances(void **state)
{
	(void)state;
	assert_int_equal(task_start(loop, accept_body, NULL), HL_OK);
	while (task_count())
		uv_run(loop, UV_RUN_ONCE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(codecs),
		cmocka_unit_test(json_trees),
		cmocka_unit_test(fastcgi_requests),
		cmocka_unit_test(acceptances),
	};

	return cmocka_run_group_tests(tests, open_store, close_store);
}
