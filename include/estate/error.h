/* SPDX-License-Identifier: BSD-3-Clause */
/* What went wrong, in words. */
#ifndef ESTATE_ERROR_H
#define ESTATE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define ESTATE_API __attribute__((visibility("default")))

/**
 * estate_errormsg - the sentence behind the last error of this thread
 *
 * Every call of the library that fails returns a negative errno value and
 * leaves a sentence here: what was tried, with what, and what to do about it.
 * The text stays until the next call of this thread fails; a call that
 * succeeds does not clear it.
 *
 * Thread safety: every thread has a message of its own.
 *
 * Return: a string, never NULL; empty if nothing failed yet. It belongs to the
 * library and is valid until the next failing call of this thread.
 *
 * Example:
 *	if (estate_open(&attr, &es))
 *		errx(1, "%s", estate_errormsg());
 */
ESTATE_API const char *estate_errormsg(void);

/**
 * estate_version - the version of the library that is linked
 *
 * Thread safety: any thread.
 *
 * Return: a string such as "0.1.0", static.
 */
ESTATE_API const char *estate_version(void);

#ifdef __cplusplus
}
#endif

#endif
