/*
 * knowledge_test - what the offline responder quotes and what it does not know, measured on the sample knowledge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "engine/knowledge.h"
#include "knowledge_questions.h"
#include "loop/task.h"

#define SAMPLE	SRCDIR "/lib/engine/knowledge-sample"

static uv_loop_t loop;

static int
set_up(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

static int
tear_down(void **state)
{
	(void)state;
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(task_count(), 0);
	return uv_loop_close(&loop);
}

static struct knowledge *
open_knowledge(const char *folder)
{
	struct conf conf = { .knowledge_path = folder, .knowledge_index = "" };
	struct buf problem = BUF_INIT(1024);
	struct knowledge *k;

	if (knowledge_open(&conf, &k, &problem) != HL_OK)
		fail_msg("%s", problem.data);
	buf_free(&problem);
	return k;
}

/* --- asking from a task --- */

struct ask {
	struct knowledge	*k;
	const char		*question;
	struct passages		 passages;
	enum hl_err		 err;
};

static void
ask_task(void *arg)
{
	struct ask *a = arg;

	a->err = knowledge_find(a->k, a->question, strlen(a->question), &a->passages);
}

static void
ask(struct ask *a, struct knowledge *k, const char *question)
{
	*a = (struct ask){ .k = k, .question = question, .err = HL_INTERNAL };
	assert_int_equal(task_start(&loop, ask_task, a), HL_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a->err, HL_OK);
}

/* The offline answer; *ret_text is the caller's to free. */
static double
answer(struct ask *a, char **ret_text)
{
	struct buf text = BUF_INIT(65536);
	double confidence = -1;

	offline_answer(&a->passages, &text, &confidence);
	assert_int_equal(buf_err(&text), HL_OK);
	*ret_text = buf_steal(&text);
	return confidence;
}

/* --- calibration --- */

static bool
is_titled(const struct search_hit *hit, const char *title)
{
	size_t n = title ? strlen(title) : 0, len = strlen(hit->passage->title);

	return title != NULL && ((len >= n && strcmp(hit->passage->title + len - n, title) == 0) || strcmp(hit->passage->source, title) == 0);
}

struct tally {
	size_t	quoted, right, near;	/* near: the right passage is among those given to a model */
};

static struct tally
measure(struct knowledge *k, const struct asked *asked, size_t count)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct ask a;
		char *text;
		bool near = false;

		ask(&a, k, asked[i].question);
		if (answer(&a, &text) >= OFFLINE_THRESHOLD) {
			t.quoted++;
			t.right += is_titled(&a.passages.hits[0], asked[i].title) || is_titled(&a.passages.hits[0], asked[i].other);
			assert_non_null(strstr(text, a.passages.hits[0].passage->source));
		}
		for (size_t h = 0; h < a.passages.count; h++)
			near |= is_titled(&a.passages.hits[h], asked[i].title) || is_titled(&a.passages.hits[h], asked[i].other);
		t.near += near;
		free(text);
		passages_free(&a.passages);
	}
	return t;
}

static size_t
false_quotes(struct knowledge *k, const char *const *questions, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct ask a;
		char *text;
		double confidence;

		ask(&a, k, questions[i]);
		confidence = answer(&a, &text);
		assert_true(confidence == 0 || confidence >= OFFLINE_THRESHOLD);
		n += confidence > 0;
		free(text);
		passages_free(&a.passages);
	}
	return n;
}

static void
answers_what_it_can_and_knows_what_it_cannot(void **state)
{
	struct knowledge *k = open_knowledge(SAMPLE);
	struct tally t, unseen;
	size_t wrong, unseen_wrong;

	(void)state;
	t = measure(k, answerable, COUNT(answerable));
	wrong = false_quotes(k, unanswerable, COUNT(unanswerable));
	unseen = measure(k, unseen_answerable, COUNT(unseen_answerable));
	unseen_wrong = false_quotes(k, unseen_unanswerable, COUNT(unseen_unanswerable));
	print_message("answerable %zu: quoted %zu, the right passage %zu, in the prompt %zu; unanswerable %zu: quoted %zu\n",
	    COUNT(answerable), t.quoted, t.right, t.near, COUNT(unanswerable), wrong);
	print_message("unseen %zu: quoted %zu, right %zu, in the prompt %zu; unanswerable %zu: quoted %zu\n",
	    COUNT(unseen_answerable), unseen.quoted, unseen.right, unseen.near, COUNT(unseen_unanswerable), unseen_wrong);
	assert_true(t.quoted * 100 >= COUNT(answerable) * 94);
	assert_true(t.right * 100 >= COUNT(answerable) * 85);
	assert_true(t.near * 100 >= COUNT(answerable) * 94);
	assert_true(wrong * 100 <= COUNT(unanswerable) * 3);
	assert_true(unseen.right * 100 >= COUNT(unseen_answerable) * 70);
	assert_true(unseen.near * 100 >= COUNT(unseen_answerable) * 90);
	assert_true(unseen_wrong * 100 <= COUNT(unseen_unanswerable) * 10);
	knowledge_free(k);
}

static void
small_talk_is_returned(void **state)
{
	struct knowledge *k = open_knowledge(SAMPLE);

	(void)state;
	for (size_t i = 0; i < COUNT(small_talk); i++) {
		struct ask a;
		char *text;

		ask(&a, k, small_talk[i]);
		if (a.passages.talk == TALK_NONE)
			fail_msg("\"%s\" is not taken for small talk", small_talk[i]);
		assert_int_equal(a.passages.count, 0);
		assert_true(answer(&a, &text) == OFFLINE_TALK);
		free(text);
	}
	for (size_t i = 0; i < COUNT(answerable); i++) {
		struct ask a;

		ask(&a, k, answerable[i].question);
		assert_int_equal(a.passages.talk, TALK_NONE);
		passages_free(&a.passages);
	}
	knowledge_free(k);
}

/* --- what is said --- */

static struct passages
one_passage(const char *text, double score)
{
	struct passages p = { .count = 1, .hits[0].score = score };

	assert_int_equal(passage_new("delivery.md", "Delivery › Times", text, &p.hits[0].passage), HL_OK);
	return p;
}

static void
quotes_with_the_source(void **state)
{
	struct ask a = { .passages = one_passage("- two days\n\n```\nopen", 0.7) };
	char *text;

	(void)state;
	assert_true(answer(&a, &text) == 0.7);
	assert_string_equal(text, "From \"Delivery › Times\" (delivery.md):\n\n> - two days\n> \n> ```\n> open");
	free(text);
	passages_free(&a.passages);
}

static void
cuts_a_long_quotation_after_a_sentence(void **state)
{
	char long_text[2000] = "";
	struct ask a;
	char *text;

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(long_text, "Größere Sätze mit Umlauten enden hier. ");
	a = (struct ask){ .passages = one_passage(long_text, 0.9) };
	assert_true(answer(&a, &text) == 0.9);
	assert_true(strlen(text) < 700);
	assert_non_null(strstr(text, "enden hier. …"));
	free(text);
	passages_free(&a.passages);
}

static void
does_not_know_and_says_what_it_is(void **state)
{
	struct ask a = { .passages = one_passage("text", OFFLINE_THRESHOLD - 0.01) };
	char *text;

	(void)state;
	assert_true(answer(&a, &text) == 0);
	assert_non_null(strstr(text, "I don't know"));
	assert_non_null(strstr(text, "offline responder"));
	free(text);
	passages_free(&a.passages);
	a.passages = (struct passages){ 0 };
	assert_true(answer(&a, &text) == 0);
	free(text);
}

static void
sources_are_json(void **state)
{
	char long_text[2000] = "**\"bold\"** [link](http://x/) \\ ";
	struct passages p;
	struct buf out = BUF_INIT(65536);
	struct json *doc;
	const struct json *first;
	double score;

	(void)state;
	for (int i = 0; i < 40; i++)
		strcat(long_text, "- ein Stück\n");
	p = one_passage(long_text, 0.625);
	passages_json(&out, &p);
	assert_int_equal(json_parse(out.data, out.len, &doc), HL_OK);
	assert_int_equal(json_length(doc), 1);
	first = json_at(doc, 0);
	assert_string_equal(json_get_string(first, "title"), "Delivery › Times");
	assert_string_equal(json_get_string(first, "source"), "delivery.md");
	assert_true(strlen(json_get_string(first, "excerpt")) <= 300);
	assert_memory_equal(json_get_string(first, "excerpt"), "\"bold\" link \\ - ein Stück ein Stück", 32);
	assert_true(json_number(json_get(first, "score"), &score) && score == 0.625);
	json_free(doc);
	passages_free(&p);
	buf_reset(&out);
	passages_json(&out, &p);
	assert_string_equal(out.data, "[]");
	buf_free(&out);
}

/* --- freshness and concurrency --- */

static void
write_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
changed_file_is_noticed_within_a_second(void **state)
{
	char folder[] = "/tmp/knowledge_test.XXXXXX", command[64];
	struct knowledge *k;
	struct ask a, b;

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(folder, "a.md", "# Alligators\nWe sell alligators.\n");
	k = open_knowledge(folder);
	write_file(folder, "b.md", "# Bumblebees\nWe keep bumblebees.\n");
	ask(&a, k, "bumblebees");
	assert_int_equal(a.passages.count, 0);		/* looked a moment ago */
	passages_free(&a.passages);
	ask(&a, k, "alligators");
	ask(&b, k, "alligators");
	assert_int_equal(a.passages.count, 1);
	assert_ptr_equal(a.passages.hits[0].passage, b.passages.hits[0].passage);	/* remembered */
	passages_free(&a.passages);
	assert_non_null(strstr(b.passages.hits[0].passage->text, "alligators"));
	passages_free(&b.passages);
	usleep(1050000);
	ask(&a, k, "bumblebees");
	assert_int_equal(a.passages.count, 1);
	passages_free(&a.passages);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	usleep(1050000);
	ask(&a, k, "alligators");			/* the folder is gone, the knowledge is not */
	assert_int_equal(a.passages.count, 1);
	passages_free(&a.passages);
	knowledge_free(k);
}

static void
many_tasks_ask_at_once(void **state)
{
	struct knowledge *k = open_knowledge(SAMPLE);
	struct ask asks[COUNT(answerable)];

	(void)state;
	usleep(1050000);				/* one of them looks at the folder meanwhile */
	for (size_t i = 0; i < COUNT(answerable); i++) {
		asks[i] = (struct ask){ .k = k, .question = answerable[i].question, .err = HL_INTERNAL };
		assert_int_equal(task_start(&loop, ask_task, &asks[i]), HL_OK);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < COUNT(answerable); i++) {
		assert_int_equal(asks[i].err, HL_OK);
		passages_free(&asks[i].passages);
	}
	knowledge_free(k);
}

static void
missing_folder_is_a_sentence(void **state)
{
	struct conf conf = { .knowledge_path = "/nonexistent/folder", .knowledge_index = "" };
	struct buf problem = BUF_INIT(1024);
	struct knowledge *k;

	(void)state;
	assert_int_equal(knowledge_open(&conf, &k, &problem), HL_NOT_FOUND);
	assert_null(k);
	assert_non_null(strstr(problem.data, "/nonexistent/folder"));
	buf_free(&problem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_what_it_can_and_knows_what_it_cannot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(small_talk_is_returned, set_up, tear_down),
		cmocka_unit_test(quotes_with_the_source),
		cmocka_unit_test(cuts_a_long_quotation_after_a_sentence),
		cmocka_unit_test(does_not_know_and_says_what_it_is),
		cmocka_unit_test(sources_are_json),
		cmocka_unit_test_setup_teardown(changed_file_is_noticed_within_a_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_tasks_ask_at_once, set_up, tear_down),
		cmocka_unit_test(missing_folder_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
