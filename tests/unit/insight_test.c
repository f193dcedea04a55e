/*
 * insight_test - sentiment, intents and confidence by rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/insight.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

static const struct {
	const char *text;
	enum sentiment sentiment;
} moods[] = {
	{ "", SENTIMENT_NEUTRAL },
	{ "Where is my order?", SENTIMENT_NEUTRAL },
	{ "Good morning, how do I change my address?", SENTIMENT_NEUTRAL },
	{ "Best regards, Ann", SENTIMENT_NEUTRAL },
	{ "I had no problem with the form, what is next?", SENTIMENT_NEUTRAL },
	{ "It is not urgent", SENTIMENT_NEUTRAL },
	{ "Does it work with Linux?", SENTIMENT_NEUTRAL },
	{ "Thank you, that was great", SENTIMENT_POSITIVE },
	{ "LOVE it!!!", SENTIMENT_POSITIVE },
	{ "not bad at all", SENTIMENT_POSITIVE },
	{ "no thanks", SENTIMENT_POSITIVE },
	{ "No, thanks", SENTIMENT_POSITIVE },
	{ "¡Excelente!", SENTIMENT_POSITIVE },
	{ "This is terrible", SENTIMENT_NEGATIVE },
	{ "it is not good", SENTIMENT_NEGATIVE },
	{ "I'm not at all happy", SENTIMENT_NEGATIVE },
	{ "the app doesn't work", SENTIMENT_NEGATIVE },
	{ "the app doesn’t work", SENTIMENT_NEGATIVE },
	{ "my parcel never arrived", SENTIMENT_NEGATIVE },
	{ "I have not yet received my refund", SENTIMENT_NEGATIVE },
	{ "I have a problem with my order", SENTIMENT_NEGATIVE },
	{ "Great, it broke again. Thanks for nothing, this is useless", SENTIMENT_NEGATIVE },
	{ "Das ist furchtbar", SENTIMENT_NEGATIVE },
	{ "This is URGENT", SENTIMENT_URGENT },
	{ "I love you but I need it asap", SENTIMENT_URGENT },
	{ "Fix this right now", SENTIMENT_URGENT },
	{ "please answer as soon as possible", SENTIMENT_URGENT },
	{ "It is an emergency!", SENTIMENT_URGENT },
	{ "insurgents and detergents", SENTIMENT_NEUTRAL },
};

static void
sentiment_by_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(moods); i++)
		if (sentiment_of(moods[i].text, strlen(moods[i].text)) != moods[i].sentiment)
			fail_msg("\"%s\" is not %s", moods[i].text, sentiment_name(moods[i].sentiment));
}

static void
sentiment_as_models_print_it(void **state)
{
	static const struct {
		const char *text;
		int sentiment;		/* -1: none of them */
	} printed[] = {
		{ "positive", SENTIMENT_POSITIVE }, { "Positive.", SENTIMENT_POSITIVE },
		{ " NEGATIVE \n", SENTIMENT_NEGATIVE },
		{ "sentiment: urgent", SENTIMENT_URGENT },
		{ "{\"sentiment\":\"neutral\"}", SENTIMENT_NEUTRAL },
		{ "**Urgent**", SENTIMENT_URGENT }, { "Negative. Not at all positive.", SENTIMENT_NEGATIVE },
		{ "", -1 }, { "mixed", -1 }, { "positively", -1 }, { "pending", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(printed); i++) {
		enum sentiment s = SENTIMENT_NEUTRAL;

		assert_int_equal(sentiment_parse(printed[i].text, &s), printed[i].sentiment >= 0);
		if (printed[i].sentiment >= 0)
			assert_int_equal(s, printed[i].sentiment);
	}
	for (unsigned i = SENTIMENT_NEUTRAL; i <= SENTIMENT_URGENT; i++) {
		enum sentiment s;

		assert_true(sentiment_parse(sentiment_name((enum sentiment)i), &s));
		assert_int_equal(s, i);
	}
}

static void
intents_are_whole_words(void **state)
{
	static const struct {
		const char *text;
		unsigned set;
	} messages[] = {
		{ "", 0 },
		{ "hello", 0 },
		{ "HOW?", INTENT_QUESTION },
		{ "What's that", INTENT_QUESTION },
		{ "show the whole somewhat", 0 },
		{ "Help!", INTENT_SUPPORT },
		{ "helpful supporters", 0 },
		{ "I want to buy a notebook", INTENT_PURCHASE },
		{ "book", INTENT_PURCHASE },
		{ "ordering, booked, cancelled, returns", 0 },
		{ "cancel", INTENT_CANCELLATION },
		{ "How do I return my order? Please help", 15 },
	};
	char *all = malloc(128 * 1024);

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		assert_int_equal(intents_of(messages[i].text, strlen(messages[i].text)), messages[i].set);
	assert_non_null(all);
	memset(all, ' ', 128 * 1024);
	memcpy(all + 128 * 1024 - 6, "refund", 6);
	assert_int_equal(intents_of(all, 128 * 1024), INTENT_CANCELLATION);
	free(all);
}

static void
intent_names_have_an_order(void **state)
{
	const char *names[4];
	unsigned set = 0;

	(void)state;
	assert_int_equal(intent_names(0, names), 1);
	assert_string_equal(names[0], "general");
	assert_int_equal(intent_names(15, names), 4);
	assert_string_equal(names[0], "question");
	assert_string_equal(names[1], "support");
	assert_string_equal(names[2], "purchase");
	assert_string_equal(names[3], "cancellation");
	assert_true(intent_parse("Cancellation.", &set));
	assert_true(intent_parse("general", &set));
	assert_false(intent_parse("chitchat", &set));
	assert_false(intent_parse("", &set));
	assert_int_equal(set, INTENT_CANCELLATION);
	assert_true(intent_parse("question, support", &set));
	assert_int_equal(set, INTENT_CANCELLATION | INTENT_QUESTION | INTENT_SUPPORT);
}

static double
confidence(const char *answer)
{
	return confidence_of(answer, strlen(answer));
}

static void
confidence_is_how_the_answer_reads(void **state)
{
	static const char *const doubtful[] = {
		"I don't know.", "I'm not sure, but it may be blue.", "I’m not sure.", "I AM NOT SURE",
		"Sorry, I cannot help with that.", "I do not have information about that.",
		"Unfortunately I\ndon't have access to your order.",
		"Das weiß ich nicht - ich bin nicht sicher.", "Je ne sais pas.",
	};
	static const char *const sure[] = {
		"You can return it within 30 days.",
		"If you don't know your password, choose Forgot password.",
		"When you are not sure about the size, order two.", "Ja.",
	};

	(void)state;
	assert_true(confidence("") <= 0);
	assert_true(confidence(" \n\t\xc2\xa0") <= 0);
	for (size_t i = 0; i < COUNT(doubtful); i++)
		if (confidence(doubtful[i]) >= 0.5 || confidence(doubtful[i]) <= 0)
			fail_msg("not doubtful: %s", doubtful[i]);
	for (size_t i = 0; i < COUNT(sure); i++)
		if (confidence(sure[i]) < 0.7)
			fail_msg("doubtful: %s", sure[i]);
}

static void
long_and_hostile_text_does_no_harm(void **state)
{
	static const char *const pieces[] = { "\xff", "a ", "not ", "\xe4", "\xcc\x81",
	    "wordwordwordwordwordwordwordwordword", "ﷺ" };
	char *text = malloc(128 * 1024);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (size_t k = 0; k < 128 * 1024; k++)
			text[k] = pieces[i][k % strlen(pieces[i])];
		text[1000] = '\0';
		(void)sentiment_of(text, 128 * 1024);
		(void)intents_of(text, 128 * 1024);
		(void)confidence_of(text, 128 * 1024);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentiment_by_rules),
		cmocka_unit_test(sentiment_as_models_print_it),
		cmocka_unit_test(intents_are_whole_words),
		cmocka_unit_test(intent_names_have_an_order),
		cmocka_unit_test(confidence_is_how_the_answer_reads),
		cmocka_unit_test(long_and_hostile_text_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
