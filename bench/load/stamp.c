/*
 * Prints a line on standard output at once, and then executes PROGRAM:
 *
 *	stamp TEXT [PROGRAM [ARGUMENT]...]
 *
 * With "<init>" as the first process of a subject, and with "<app>" as its
 * application, it prints the marks that launch waits for.
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
	argv[1][length] = '\n'; /* so that one write is enough */
	if (write(STDOUT_FILENO, argv[1], length + 1) != (ssize_t)length + 1)
		err(1, "standard output");
	if (argc == 2)
		return 0;
	execvp(argv[2], argv + 2);
	err(127, "%s", argv[2]);
}
