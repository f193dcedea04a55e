#include "base/error.h"

static const struct {
	int		 status;
	const char	*code;
	const char	*text;
} errors[] = {
#define X(name, status, code, text) { status, code, text },
	HL_ERRORS(X)
#undef X
};

int
err_status(enum hl_err err)
{
	return errors[err].status;
}

const char *
err_code(enum hl_err err)
{
	return errors[err].code;
}

const char *
err_text(enum hl_err err)
{
	return errors[err].text;
}
