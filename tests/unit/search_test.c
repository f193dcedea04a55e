/*
 * search_test - passages are cut where they should be, found in any script, and as fresh as the folder.
 */
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <uv.h>

#include "services/search_parts.h"
#include "services/search_cut.h"

/* --- a folder of the test's own --- */

static char base[64], folder[80], index_file[80];

static void
path_of(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", folder, name);
}

static void
put(const char *name, const char *bytes, size_t len)
{
	char path[256];
	FILE *f;

	path_of(path, sizeof(path), name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
write_file(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void
remove_file(const char *name)
{
	char path[256];

	path_of(path, sizeof(path), name);
	assert_int_equal(unlink(path), 0);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(base, "/tmp/search_test.XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(folder, sizeof(folder), "%s/k", base);
	snprintf(index_file, sizeof(index_file), "%s/index", base);
	return mkdir(folder, 0700);
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static struct search *
open_index(const char *file)
{
	struct buf problem = BUF_INIT(1024);
	struct search *s;

	if (search_open(folder, file, &s, &problem) != HL_OK)
		fail_msg("%s", problem.data ? problem.data : "no sentence");
	buf_free(&problem);
	return s;
}

/* The best passage's text for a question must have this in it; NULL: nothing may be found. */
static void
finds(struct search *s, const char *question, const char *expected)
{
	struct search_hit hits[4];
	size_t n;

	assert_int_equal(search_query(s, question, strlen(question), 4, hits, &n), HL_OK);
	if (expected == NULL && n > 0)
		fail_msg("\"%s\" found \"%s\"", question, hits[0].passage->text);
	if (expected != NULL && (n == 0 || strstr(hits[0].passage->text, expected) == NULL))
		fail_msg("\"%s\" did not find \"%s\" but \"%s\"", question, expected, n ? hits[0].passage->text : "nothing");
	search_hits_free(hits, n);
}

/* --- cutting --- */

struct cut {
	struct { char *title, *text; } passages[64];
	size_t	count;
};

static enum hl_err
keep(void *arg, const char *title, const char *text, size_t len)
{
	struct cut *c = arg;

	assert_true(c->count < 64);
	assert_true(len > 0 && len <= PASSAGE_MAX);
	c->passages[c->count].title = strdup(title);
	c->passages[c->count++].text = strndup(text, len);
	return HL_OK;
}

static void
cut(struct cut *c, const char *name, bool markdown, const char *text)
{
	*c = (struct cut){ .count = 0 };
	assert_int_equal(cut_text(name, markdown, text, strlen(text), keep, c), HL_OK);
}

static void
cut_free(struct cut *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->passages[i].title);
		free(c->passages[i].text);
	}
}

static void
passage_is(const struct cut *c, size_t i, const char *title, const char *text)
{
	assert_true(i < c->count);
	assert_string_equal(c->passages[i].title, title);
	if (text != NULL)
		assert_string_equal(c->passages[i].text, text);
}

static void
headings_end_passages_and_make_titles(void **state)
{
	struct cut c;

	(void)state;
	cut(&c, "file", true, "before\n# The *Shop* #\nintro\n\n## [Times](x.md)\n- Mon\n- Tue\n\n### `Deep`\ntext\n# Other\nlast");
	assert_int_equal(c.count, 5);
	passage_is(&c, 0, "file", "before");
	passage_is(&c, 1, "The Shop", "intro");
	passage_is(&c, 2, "The Shop › Times", "- Mon\n- Tue");
	passage_is(&c, 3, "The Shop › Times › Deep", "text");
	passage_is(&c, 4, "Other", "last");
	cut_free(&c);
}

static void
other_forms_of_headings(void **state)
{
	struct cut c;

	(void)state;
	cut(&c, "file", true, "Title\n=====\none\n\nSection\n---\ntwo\n\n---\n\nthree\n#no heading\n\n    # code\n");
	assert_int_equal(c.count, 2);
	passage_is(&c, 0, "Title", "one");
	passage_is(&c, 1, "Title › Section", "two\n\n---\n\nthree\n#no heading\n\n    # code");
	cut_free(&c);
	cut(&c, "file", true, "---\ntitle: \"From the matter\"\ntags: [a]\n---\n<!-- not\nshown -->\nbody\n");
	assert_int_equal(c.count, 1);
	passage_is(&c, 0, "From the matter", "body");
	cut_free(&c);
	cut(&c, "file", false, "# no Markdown here\n\n- a\n");
	assert_int_equal(c.count, 1);
	passage_is(&c, 0, "file", "# no Markdown here\n\n- a");
	cut_free(&c);
}

static void
add_times(char *out, const char *text, size_t times)
{
	while (times-- > 0)
		strcat(out, text);
}

static void
code_and_items_stay_whole(void **state)
{
	char text[8192] = "# T\n";
	struct cut c;

	(void)state;
	add_times(text, "Some words. ", 45);
	strcat(text, "\n\n```\n# not a heading\n\n");
	add_times(text, "a line of code\n", 50);
	strcat(text, "```\n\n- item ");
	add_times(text, "goes on ", 60);
	strcat(text, "\n\n  its second paragraph\n- next item\n");
	cut(&c, "file", true, text);
	assert_int_equal(c.count, 3);
	assert_non_null(strstr(c.passages[1].text, "```\n# not a heading"));
	assert_string_equal(c.passages[1].text + strlen(c.passages[1].text) - 4, "\n```");
	assert_non_null(strstr(c.passages[2].text, "its second paragraph\n- next item"));
	cut_free(&c);
}

static void
long_paragraphs_are_cut_at_sentences(void **state)
{
	char text[16384] = "";
	struct cut c;

	(void)state;
	add_times(text, "This sentence is quite long, ümläuts included, and it is there many times. ", 60);
	cut(&c, "file", true, text);
	assert_true(c.count >= 4);
	for (size_t i = 0; i < c.count; i++)
		assert_int_equal(c.passages[i].text[strlen(c.passages[i].text) - 1], '.');
	cut_free(&c);
	text[0] = '\0';
	add_times(text, "日本語の文", 300);		/* nowhere to cut */
	cut(&c, "file", true, text);
	assert_true(c.count >= 4);
	cut_free(&c);
}

static void
short_rests_join_the_passage_before(void **state)
{
	char text[4096] = "";
	struct cut c;

	(void)state;
	add_times(text, "Words of a paragraph. ", 32);
	strcat(text, "\n\nA short rest.\n");
	cut(&c, "file", true, text);
	assert_int_equal(c.count, 1);
	cut_free(&c);
}

static void
bytes_become_clean_text(void **state)
{
	struct buf out = BUF_INIT(4096);
	bool repaired;

	(void)state;
	assert_int_equal(cut_normalise(&out, "\xef\xbb\xbf" "a\r\nb\rc\x01", 10, &repaired), HL_OK);
	assert_string_equal(out.data, "a\nb\nc ");
	assert_false(repaired);
	buf_reset(&out);
	assert_int_equal(cut_normalise(&out, "Gr\xfc\xdf" "e \x80 5 und \xc3\xa4", 16, &repaired), HL_OK);
	assert_string_equal(out.data, "Grüße € 5 und ä");
	assert_true(repaired);
	assert_int_equal(cut_normalise(&out, "a\0b", 3, &repaired), HL_MEDIA_TYPE);
	assert_int_equal(cut_normalise(&out, "\xff\xfe" "a", 3, &repaired), HL_MEDIA_TYPE);
	buf_free(&out);
}

static void
plain_text_has_no_markers(void **state)
{
	static const char text[] = "## Head\n- **bold** and [a link](http://x/) and `code`\n> snake_case, 2 * 3\n| a | b |";
	struct buf out = BUF_INIT(4096);

	(void)state;
	cut_plain(&out, text, strlen(text));
	assert_string_equal(out.data, "Head bold and a link and code snake_case, 2 * 3 a b");
	buf_free(&out);
}

/* --- finding --- */

static void
finds_in_any_script(void **state)
{
	struct search *s;

	(void)state;
	write_file("de.md", "# Rückgabe\nSie können die Ware innerhalb von 30 Tagen zurückschicken.\n\n# Öffnungszeiten\nMontag bis Freitag.\n");
	write_file("el.md", "# Επιστροφές\nΜπορείτε να επιστρέψετε τα προϊόντα.\n\n# Πληρωμή\nΔεχόμαστε κάρτες.\n");
	write_file("ru.md", "# Доставка\nДоставка занимает три дня.\n\n# Оплата\nПринимаем карты.\n");
	write_file("ja.md", "# 配送について\n商品は三日以内に届きます。\n\n# 返品\n未開封の商品は返品できます。\n");
	write_file("zh.md", "# 退货\n您可以在三十天内退货。\n\n# 营业时间\n周一至周五营业。\n");
	write_file("ko.md", "# 배송\n배송은 사흘이 걸립니다.\n\n# 환불\n환불은 닷새 안에 됩니다.\n");
	write_file("th.md", "# การจัดส่ง\nเราจัดส่งภายในสามวัน\n\n# การคืนเงิน\nคืนเงินภายในห้าวัน\n");
	s = open_index(NULL);
	finds(s, "Wie läuft die Rückgabe?", "zurückschicken");
	finds(s, "ruckgabe", "zurückschicken");
	finds(s, "RÜCKGABE", "zurückschicken");
	finds(s, "offnungszeiten", "Montag");
	finds(s, "ΠΛΗΡΩΜΗ;", "κάρτες");
	finds(s, "πώς γίνεται η πληρωμη", "κάρτες");
	finds(s, "сколько стоит доставка?", "три дня");
	finds(s, "доставку", "три дня");
	finds(s, "返品できますか", "未開封");
	finds(s, "配送はいつですか", "届きます");
	finds(s, "怎么退货？", "退货");
	finds(s, "你们的营业时间是什么", "周一");
	finds(s, "배송은 얼마나 걸려요?", "사흘");
	finds(s, "환불 받고 싶어요", "닷새");
	finds(s, "อยากคืนเงิน", "คืนเงิน");
	search_close(s);
}

static void
tolerates_typing_mistakes(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "# Warranty\nThe warranty covers purchases.\n\n# Delivery\nWe deliver parcels.\n");
	s = open_index(NULL);
	finds(s, "warrenty", "covers");
	finds(s, "waranty", "covers");
	finds(s, "warrantyy", "covers");
	finds(s, "wararnty", "covers");
	finds(s, "purchsae", "covers");		/* whose stem's stem is another */
	finds(s, "waht is the delivry", "deliver");
	finds(s, "shipping", "deliver");	/* another word for it */
	finds(s, "mountain", NULL);
	search_close(s);
}

static void
score_says_how_much_is_covered(void **state)
{
	struct search_hit hits[2];
	struct search *s;
	size_t n;

	(void)state;
	write_file("a.md", "# Zebra\nA striped animal of the savannah.\n");
	s = open_index(NULL);
	assert_int_equal(search_query(s, "striped zebra", 13, 2, hits, &n), HL_OK);
	assert_int_equal(n, 1);
	assert_true(hits[0].score > 0.99 && hits[0].score <= 1);
	assert_string_equal(hits[0].passage->source, "a.md");
	assert_string_equal(hits[0].passage->title, "Zebra");
	search_hits_free(hits, n);
	assert_int_equal(search_query(s, "zebra spaceship", 15, 2, hits, &n), HL_OK);
	assert_true(n == 1 && hits[0].score < 0.5);	/* a word that nobody knows counts fully against */
	search_hits_free(hits, n);
	finds(s, "what is it and where are you", NULL);
	search_close(s);
}

static void
hostile_questions_are_only_words(void **state)
{
	static const char *const questions[] = { "\"", "\"\"\"zebra", "zebra OR", "NEAR(zebra savannah, 2)", "zebra*", "^zebra",
		"body : zebra", "{title body} : zebra", "-zebra", "zebra AND NOT zebra", "(((((zebra", "'; DROP TABLE files; --zebra",
		"%s%n zebra", "zebra\\", "\xf0\x9f\xa6\x93 zebra", "zebra\t\r\n\x01", "+zebra + zebra", "[zebra]" };
	struct search *s;
	struct search_hit hits[4];
	size_t n;
	char *large = malloc(100000);

	(void)state;
	write_file("a.md", "# Zebra\nA striped animal of the savannah.\n");
	s = open_index(NULL);
	for (size_t i = 1; i < sizeof(questions) / sizeof(questions[0]); i++)
		finds(s, questions[i], "striped");
	finds(s, questions[0], NULL);
	finds(s, "", NULL);
	finds(s, "zebra \xff\xfe", NULL);		/* not UTF-8 */
	finds(s, "AND OR NOT NEAR", NULL);
	assert_int_equal(search_query(s, "zebra\0striped", 13, 4, hits, &n), HL_OK);
	assert_int_equal(n, 1);
	search_hits_free(hits, n);
	for (size_t i = 0; i < 100000; i++)
		large[i] = i % 7 == 6 ? ' ' : (char)('a' + (i * i / 7 + i) % 26);
	memcpy(large, "zebra ", 6);
	assert_int_equal(search_query(s, large, 100000, 4, hits, &n), HL_OK);
	search_hits_free(hits, n);
	memset(large, 'z', 100000);
	assert_int_equal(search_query(s, large, 100000, 4, hits, &n), HL_OK);
	assert_int_equal(n, 0);
	memset(large, '"', 100000);
	assert_int_equal(search_query(s, large, 100000, 4, hits, &n), HL_OK);
	free(large);
	search_close(s);
}

static void
words_side_by_side_come_first(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "# One\nA card for your birthday, and a gift besides, with a ribbon.\n");
	write_file("b.md", "# Two\nA birthday, a ribbon, and besides them a gift card for you.\n");
	write_file("c.md", "# Three\nBesides a ribbon there is a card gift for your birthday.\n");
	s = open_index(NULL);
	finds(s, "gift card", "a gift card");
	finds(s, "card gift", "a card gift");
	search_close(s);
}

/* --- what is remembered --- */

/* From memory comes what comes from the index. */
static void
recalls(struct search *s, const char *question)
{
	struct search_hit hits[4], again[4];
	size_t n, m;

	assert_int_equal(search_query(s, question, strlen(question), 4, hits, &n), HL_OK);
	assert_true(search_recall(s, question, strlen(question), 4, again, &m));
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(hits[i].passage, again[i].passage);
		assert_true(hits[i].score == again[i].score);
	}
	search_hits_free(hits, n);
	search_hits_free(again, m);
}

static void
what_was_found_is_remembered(void **state)
{
	static const char *const questions[] = { "striped zebra", "delivry", "zebra 4711", "shipping of a zebra", "mountain",
		"savannah delivery", "waht is it", "zebra\xff", "", "配送" };
	struct search_hit hits[4];
	struct search *s;
	size_t n;

	(void)state;
	write_file("a.md", "# Zebra\nA striped animal of the savannah. 配送 is free.\n");
	write_file("b.md", "# Delivery\nWe deliver on weekdays, in the savannah on Sundays.\n");
	s = open_index(index_file);
	assert_false(search_recall(s, "zebra", 5, 4, hits, &n));
	assert_int_equal(n, 0);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		recalls(s, questions[i]);
	assert_true(search_recall(s, "delivery of order 88123, striped?", 33, 4, hits, &n));	/* of words known by now */
	assert_int_equal(n, 2);
	search_hits_free(hits, n);
	write_file("a.md", "# Zebra\nAn animal with stripes.\n");
	assert_int_equal(search_refresh(s), HL_OK);
	assert_false(search_recall(s, "zebra", 5, 4, hits, &n));
	finds(s, "zebra", "with stripes");
	recalls(s, "zebra");
	search_close(s);
}

static void
a_strangers_words_are_not_remembered(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "# Zebra\nA striped animal of the savannah.\n");
	s = open_index(NULL);
	finds(s, "is my zebra at Schnurrbart 27a, or at 4711?", "striped");
	assert_non_null(memory_word(&s->memory, "zebra"));
	assert_null(memory_word(&s->memory, "schnurrbart"));
	assert_null(memory_word(&s->memory, "27a"));
	assert_null(memory_word(&s->memory, "4711"));
	finds(s, "zebra4711", NULL);
	assert_null(memory_word(&s->memory, "zebra4711"));
	search_close(s);
	write_file("b.md", "# 配送\n配送は二日かかります。\n");
	s = open_index(NULL);
	finds(s, "我叫王小明, 配送", "二日");
	assert_non_null(memory_word(&s->memory, "配 送"));
	for (size_t i = 0; i < MEMORY_SLOTS; i++)
		for (const struct known *k = s->memory.words[i]; k; k = k->next)
			assert_null(strstr(k->word, "王"));
	for (size_t i = 0; i < MEMORY_SLOTS; i++)
		for (const struct posting *p = s->memory.postings[i]; p; p = p->next)
			assert_null(strstr(p->phrase, "王"));
	search_close(s);
}

static void
words_of_one_stem_share_a_posting(void **state)
{
	size_t postings = 0;
	struct search *s;

	(void)state;
	write_file("a.md", "# Delivery\nOne delivery, many deliveries.\n");
	s = open_index(NULL);
	finds(s, "délivery, deliveries, délivèry, deliverý", "many");
	for (size_t i = 0; i < MEMORY_SLOTS; i++)
		for (const struct posting *p = s->memory.postings[i]; p; p = p->next)
			postings += strncmp(p->phrase, "deliv", 5) == 0;
	assert_in_range(postings, 1, 2);	/* of the word, and of its synonym "deliver" */
	search_close(s);
}

static void
a_number_is_not_mistyped(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "# Lamp\nThe lamp lx4000 has two bulbs.\n");
	s = open_index(NULL);
	finds(s, "lx4000", "two bulbs");
	finds(s, "lx4001", NULL);
	search_close(s);
}

static void
memory_is_bounded(void **state)
{
	char text[700], word[16];
	struct search_hit hits[4];
	struct search *s;
	size_t n, most = 0, before = 0, times = 0;

	(void)state;
	for (int f = 0; f < 300; f++) {		/* each word is in a hundred files */
		size_t len = 0;

		for (int w = 0; w < 40; w++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "wo%drd%d ", f / 100, w);
		snprintf(word, sizeof(word), "%d.md", f);
		write_file(word, text);
	}
	s = open_index(NULL);
	for (int round = 0; round < 40; round++) {
		for (int w = 0; w < 120; w++) {
			snprintf(word, sizeof(word), "wo%drd%d", w / 40, w % 40);
			assert_int_equal(search_query(s, word, strlen(word), 4, hits, &n), HL_OK);
			assert_int_equal(n, 4);
			search_hits_free(hits, n);
			times += s->memory.bytes < before;
			before = s->memory.bytes;
			most = before > most ? before : most;
		}
		s->memory.bytes += MEMORY_MAX / 20;	/* as if there were as many words more */
	}
	assert_true(times >= 1);
	assert_true(most <= MEMORY_MAX + MEMORY_MAX / 8);
	finds(s, "wo0rd0", "wo0rd0");		/* what was too much goes with it */
	recalls(s, "wo0rd0");
	s->memory.bytes += MEMORY_MAX;
	assert_false(search_recall(s, "wo0rd0", 6, 4, hits, &n));	/* it would only grow */
	finds(s, "wo0rd1", "wo0rd1");
	assert_true(s->memory.bytes < MEMORY_MAX);
	search_close(s);
}

/* --- the folder --- */

static void
only_texts_of_the_folder_are_read(void **state)
{
	struct search_counts counts;
	struct search *s;
	char path[256], target[256];
	char *large = malloc((2u << 20) + 1);

	(void)state;
	path_of(path, sizeof(path), "deep");
	assert_int_equal(mkdir(path, 0700), 0);
	path_of(path, sizeof(path), ".git");
	assert_int_equal(mkdir(path, 0700), 0);
	write_file("deep/one.TXT", "alligator");
	write_file("two.markdown", "bumblebee");
	write_file("latin.txt", "caf\xe9 crocodile");
	write_file(".hidden.md", "dromedary");
	write_file(".git/x.md", "dromedary");
	write_file("page.html", "dromedary");
	put("nul.txt", "dromedary\0", 10);
	memset(large, 'e', (2u << 20) + 1);
	put("large.txt", large, (2u << 20) + 1);
	free(large);
	snprintf(target, sizeof(target), "%s/outside.md", base);
	path_of(path, sizeof(path), "../outside.md");
	write_file("../outside.md", "dromedary");
	path_of(path, sizeof(path), "link.md");
	assert_int_equal(symlink(target, path), 0);
	path_of(path, sizeof(path), "inside.md");
	assert_int_equal(symlink("deep/one.TXT", path), 0);
	path_of(path, sizeof(path), "loop");
	assert_int_equal(symlink(".", path), 0);
	path_of(path, sizeof(path), "pipe.md");
	assert_int_equal(mkfifo(path, 0600), 0);
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	finds(s, "bumblebee", "bumblebee");
	finds(s, "café", "crocodile");
	finds(s, "dromedary", NULL);
	search_counts(s, &counts);
	assert_int_equal(counts.files, 4);
	assert_int_equal(counts.repaired, 1);
	assert_int_equal(counts.skipped, 2);
	assert_int_equal(search_passages(s), 4);
	search_close(s);
}

static void
stays_fresh(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "alligator");
	write_file("b.md", "bumblebee");
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	write_file("a.md", "armadillo");
	write_file("c.md", "crocodile");
	remove_file("b.md");
	assert_int_equal(search_refresh(s), HL_OK);
	finds(s, "alligator", NULL);
	finds(s, "armadillo", "armadillo");
	finds(s, "bumblebee", NULL);
	finds(s, "crocodile", "crocodile");
	assert_int_equal(search_passages(s), 2);
	search_close(s);
	write_file("c.md", "chameleon");		/* while nobody looks */
	s = open_index(index_file);
	finds(s, "chameleon", "chameleon");
	search_close(s);
}

static void
change_within_a_tick_is_seen(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "word0000");
	s = open_index(index_file);
	for (int i = 1; i < 40; i++) {
		char text[16], question[16];

		snprintf(text, sizeof(text), "word%04d", i);	/* same size, nearly the same time */
		snprintf(question, sizeof(question), "word%04d", i);
		write_file("a.md", text);
		assert_int_equal(search_refresh(s), HL_OK);
		finds(s, question, text);
	}
	search_close(s);
}

static void
old_time_stamps_do_not_hide_a_change(void **state)
{
	struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	struct search *s;
	char path[256];

	(void)state;
	path_of(path, sizeof(path), "a.md");
	write_file("a.md", "alligator");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	s = open_index(index_file);
	usleep(60000);
	assert_int_equal(search_refresh(s), HL_OK);
	write_file("a.md", "armadillo");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(search_refresh(s), HL_OK);
	finds(s, "armadillo", "armadillo");
	search_close(s);
}

static void
folder_that_is_gone_for_a_moment(void **state)
{
	struct search *s;
	char away[96];

	(void)state;
	write_file("a.md", "alligator");
	s = open_index(index_file);
	snprintf(away, sizeof(away), "%s/away", base);
	assert_int_equal(rename(folder, away), 0);
	assert_int_equal(search_refresh(s), HL_NOT_FOUND);
	finds(s, "alligator", "alligator");
	assert_int_equal(rename(away, folder), 0);
	assert_int_equal(search_refresh(s), HL_OK);
	finds(s, "alligator", "alligator");
	search_close(s);
}

/* --- the index file --- */

static void
fails_with(const char *file, const char *words)
{
	struct buf problem = BUF_INIT(1024);
	struct search *s;

	assert_int_not_equal(search_open(folder, file, &s, &problem), HL_OK);
	assert_null(s);
	assert_non_null(problem.data);
	assert_non_null(strstr(problem.data, words));
	buf_free(&problem);
}

static void
says_what_is_wrong(void **state)
{
	char other[96];
	sqlite3 *db;

	(void)state;
	fails_with("/proc/nowhere/index", "/proc/nowhere/index");
	snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE people(name)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	fails_with(other, "another program");		/* and it is left alone */
	assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT name FROM people", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(rmdir(folder), 0);
	fails_with(NULL, "does not exist");
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void
scribble(long at, size_t len)
{
	FILE *f = fopen(index_file, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	while (len-- > 0)
		fputc('x', f);
	assert_int_equal(fclose(f), 0);
}

static void
damaged_index_is_built_anew(void **state)
{
	struct search *s;

	(void)state;
	write_file("a.md", "alligator");
	put("../index", "this is no database, but long enough to be read as one", 54);
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	search_close(s);
	scribble(0, 4096);
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	search_close(s);
	scribble(8192, 30000);				/* the header is fine, the tables are not */
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	search_close(s);
}

static void
damage_while_it_is_open_is_repaired(void **state)
{
	struct search *s, *other;

	(void)state;
	write_file("a.md", "alligator");
	s = open_index(index_file);
	other = open_index(index_file);
	assert_int_equal(truncate(index_file, 5000), 0);
	write_file("b.md", "bumblebee");
	assert_int_equal(search_refresh(s), HL_OK);
	finds(s, "bumblebee", "bumblebee");
	assert_int_equal(search_refresh(other), HL_OK);
	finds(other, "bumblebee", "bumblebee");
	finds(other, "alligator", "alligator");
	search_close(s);
	search_close(other);
}

static void
older_version_is_built_anew(void **state)
{
	struct search *s;
	sqlite3 *db;

	(void)state;
	write_file("a.md", "alligator");
	search_close(open_index(index_file));
	assert_int_equal(sqlite3_open(index_file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=0; DROP TABLE passages", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	s = open_index(index_file);
	finds(s, "alligator", "alligator");
	search_close(s);
}

static void
two_handles_share_a_file(void **state)
{
	struct search *a, *b;

	(void)state;
	write_file("a.md", "alligator");
	a = open_index(index_file);
	b = open_index(index_file);
	write_file("b.md", "bumblebee");
	assert_int_equal(search_refresh(a), HL_OK);
	finds(b, "bumblebee", "bumblebee");		/* at once, without looking at the folder */
	remove_file("a.md");
	assert_int_equal(search_refresh(b), HL_OK);
	finds(a, "alligator", NULL);
	assert_int_equal(search_passages(a), 1);
	search_close(a);
	finds(b, "bumblebee", "bumblebee");
	search_close(b);
}

/* The folder always says the same number in both files; a reader must never see one without the other. */
struct race {
	struct search	*s;
	atomic_bool	 stop;
	atomic_size_t	 halves;
};

static void
read_pairs(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		struct search_hit hits[4];
		size_t n;

		if (search_query(r->s, "elephant", 8, 4, hits, &n) != HL_OK || n != 2)
			r->halves++;
		search_hits_free(hits, n);
	}
}

static void
never_half_updated(void **state)
{
	struct race r = { .s = NULL };
	struct search *writer;
	uv_thread_t threads[2];

	(void)state;
	write_file("a.md", "elephant");
	write_file("b.md", "elephant");
	writer = open_index(index_file);
	r.s = open_index(index_file);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(uv_thread_create(&threads[i], read_pairs, &r), 0);
	for (int i = 0; i < 30; i++) {
		write_file("a.md", i % 2 ? "elephant" : "elephant again");
		write_file("b.md", i % 2 ? "elephant" : "elephant again");
		assert_int_equal(search_refresh(writer), HL_OK);
		assert_int_equal(search_refresh(r.s), HL_OK);
	}
	r.stop = true;
	for (size_t i = 0; i < 2; i++)
		uv_thread_join(&threads[i]);
	assert_int_equal(r.halves, 0);
	search_close(writer);
	search_close(r.s);
}

static void
never_empty_while_it_is_made_anew(void **state)
{
	struct race r = { .s = NULL };
	uv_thread_t thread;
	char name[16];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%d.md", i);
		write_file(name, i < 2 ? "elephant" : "a giraffe, a zebra and a lion went to the river");
	}
	r.s = open_index(index_file);
	assert_int_equal(uv_thread_create(&thread, read_pairs, &r), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(unlink(index_file), 0);
		assert_int_equal(search_refresh(r.s), HL_OK);
	}
	r.stop = true;
	uv_thread_join(&thread);
	assert_int_equal(r.halves, 0);
	search_close(r.s);
}

static void
small_talk_is_told_apart(void **state)
{
	struct search *s = open_index(NULL);

	(void)state;
	assert_int_equal(search_small_talk(s, "hello", 5), TALK_GREETING);
	assert_int_equal(search_small_talk(s, "Thank you so much!", 18), TALK_THANKS);
	assert_int_equal(search_small_talk(s, "ありがとう！", strlen("ありがとう！")), TALK_THANKS);
	assert_int_equal(search_small_talk(s, "hello, where is my parcel?", 26), TALK_NONE);
	assert_int_equal(search_small_talk(s, "morning tea", 11), TALK_NONE);
	assert_int_equal(search_small_talk(s, "good", 4), TALK_NONE);
	assert_int_equal(search_small_talk(s, "", 0), TALK_NONE);
	assert_int_equal(search_small_talk(s, "\xff", 1), TALK_NONE);
	search_close(s);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings_end_passages_and_make_titles),
		cmocka_unit_test(other_forms_of_headings),
		cmocka_unit_test(code_and_items_stay_whole),
		cmocka_unit_test(long_paragraphs_are_cut_at_sentences),
		cmocka_unit_test(short_rests_join_the_passage_before),
		cmocka_unit_test(bytes_become_clean_text),
		cmocka_unit_test(plain_text_has_no_markers),
		T(finds_in_any_script),
		T(tolerates_typing_mistakes),
		T(score_says_how_much_is_covered),
		T(hostile_questions_are_only_words),
		T(words_side_by_side_come_first),
		T(what_was_found_is_remembered),
		T(a_strangers_words_are_not_remembered),
		T(words_of_one_stem_share_a_posting),
		T(a_number_is_not_mistyped),
		T(memory_is_bounded),
		T(only_texts_of_the_folder_are_read),
		T(stays_fresh),
		T(change_within_a_tick_is_seen),
		T(old_time_stamps_do_not_hide_a_change),
		T(folder_that_is_gone_for_a_moment),
		T(says_what_is_wrong),
		T(damaged_index_is_built_anew),
		T(damage_while_it_is_open_is_repaired),
		T(older_version_is_built_anew),
		T(two_handles_share_a_file),
		T(never_half_updated),
		T(never_empty_while_it_is_made_anew),
		T(small_talk_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
