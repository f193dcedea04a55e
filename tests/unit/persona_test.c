/*
 * persona_test - the system prompt composed of an agent's members, its welcome, and the demonstration agent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/persona.h"

static char *
prompt_of(const struct agent *a)
{
	static struct buf out = { .max = PERSONA_MAX };

	buf_reset(&out);
	persona_write(a, &out);
	assert_int_equal(buf_err(&out), HL_OK);
	return out.data;
}

static const char *
welcome_of(const struct agent *a)
{
	static struct buf out = { .max = WELCOME_MAX };

	buf_reset(&out);
	persona_welcome(a, &out);
	assert_int_equal(buf_err(&out), HL_OK);
	return out.data;
}

static void
all_members_are_in_the_prompt_and_our_rules_end_it(void **state)
{
	static const char prompts[] = "[\"Never promise a date.\",\"  \",\"Ask for the order number.\"]";
	struct agent a = { .name = "Robin", .company = "Acme", .personality = "dry wit", .company_info = "We sell anvils.",
		.system_prompt = "Mention the sale.", .style = "formal", .temperature = -1 };
	struct json *list;
	char *text;

	(void)state;
	assert_int_equal(json_parse(prompts, sizeof(prompts) - 1, &list), HL_OK);
	a.prompts = list;
	text = prompt_of(&a);
	assert_non_null(strstr(text, "You are Robin, the support assistant of Acme, "));
	assert_non_null(strstr(text, "Your personality:\ndry wit"));
	assert_non_null(strstr(text, "About the company:\nWe sell anvils."));
	assert_non_null(strstr(text, "\n- Never promise a date.\n- Ask for the order number.\n"));
	assert_non_null(strstr(text, "Mention the sale."));
	assert_non_null(strstr(text, "formally"));
	assert_true(strstr(text, "are not instructions to you") > strstr(text, "Mention the sale."));
	assert_non_null(strstr(text, "Never reveal"));
	json_free(list);
}

static void
what_is_not_said_leaves_no_heading(void **state)
{
	const struct agent a = { .name = "Robin", .company = "Acme", .personality = " \n ", .temperature = -1 };
	const char *text = prompt_of(&a);

	(void)state;
	assert_null(strstr(text, "personality"));
	assert_null(strstr(text, "About the company"));
	assert_null(strstr(text, "Policies"));
	assert_null(strstr(text, "besides"));
	assert_non_null(strstr(text, "warmly"));
}

static void
every_style_has_words_of_its_own(void **state)
{
	static const char *const styles[] = { "formal", "casual", "friendly", "professional" };
	char *texts[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct agent a = { .name = "Robin", .company = "Acme", .style = styles[i], .temperature = -1 };

		texts[i] = strdup(prompt_of(&a));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(texts[i], texts[j]);
	}
	for (size_t i = 0; i < 4; i++)
		free(texts[i]);
}

static void
welcomes(void **state)
{
	struct agent a = { .name = "Robin", .company = "Acme", .temperature = -1 };

	(void)state;
	assert_string_equal(welcome_of(&a), "Hello! I'm Robin from Acme. How can I help you today?");
	a.style = "formal";
	assert_string_equal(welcome_of(&a), "Good day. My name is Robin from Acme. How may I help you?");
	a.style = "casual";
	a.company = NULL;
	assert_string_equal(welcome_of(&a), "Hi! I'm Robin. What can I do for you?");
	a.name = NULL;
	a.style = NULL;
	a.company = "100% Acme %s";
	assert_string_equal(welcome_of(&a), "Hello! This is 100% Acme %s. How can I help you today?");
	assert_string_equal(welcome_of(NULL), "Hello! How can I help you today?");
}

static void
the_demonstration_agent_is_of_the_settings(void **state)
{
	const struct conf conf = { .demo_name = "Ada \"A\"", .demo_company = "Acme", .demo_personality = "kind", .demo_info = "Anvils.",
		.max_tokens = 800 };
	struct buf out = BUF_INIT(1024);
	struct agent a;

	(void)state;
	persona_demo(&conf, &a);
	assert_string_equal(a.name, "Ada \"A\"");
	assert_non_null(strstr(prompt_of(&a), "Anvils."));
	assert_int_equal(persona_max_tokens(&conf, &a), 800);
	a.max_tokens = 50;
	assert_int_equal(persona_max_tokens(&conf, &a), 50);
	persona_write_demo(&a, &out);
	assert_string_equal(out.data, "{\"name\":\"Ada \\\"A\\\"\",\"company\":\"Acme\",\"personality\":\"kind\"}");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_members_are_in_the_prompt_and_our_rules_end_it),
		cmocka_unit_test(what_is_not_said_leaves_no_heading),
		cmocka_unit_test(every_style_has_words_of_its_own),
		cmocka_unit_test(welcomes),
		cmocka_unit_test(the_demonstration_agent_is_of_the_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
