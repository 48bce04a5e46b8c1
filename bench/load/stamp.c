/*
 * A line on standard output the moment this runs:
 *
 *	stamp TEXT [PROGRAM [ARGUMENT]...]
 *
 * and then PROGRAM in its place. As a subject's first process with "<init>",
 * and as its application with "<app>", it gives launch its marks.
 */
#include <err.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t length;

	if (argc < 2)
		errx(2, "usage: stamp TEXT [PROGRAM [ARGUMENT]...]");
	length = strlen(argv[1]);
	argv[1][length] = '\n'; /* in one write, without a copy */
	if (write(STDOUT_FILENO, argv[1], length + 1) != (ssize_t)length + 1)
		err(1, "standard output");
	if (argc == 2)
		return 0;
	execvp(argv[2], argv + 2);
	err(127, "%s", argv[2]);
}
