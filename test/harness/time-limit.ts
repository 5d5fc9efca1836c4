/**
 * Loaded into the process of each file of tests: ends it when it takes too long. The limits of `node:test` are those of tests; a file
 * whose tests have ended stays for as long as anything in its process does.
 */
/** A busy machine may need minutes to start a dozen processes; TEST_FILE_MINUTES gives long runs of random tests more. */
const LIMIT_MINUTES = Number(process.env['TEST_FILE_MINUTES'] ?? 6);

const limit = setTimeout(() => {
  const open = process.getActiveResourcesInfo().join(', ');
  console.error(`${process.argv[1]} took more than ${LIMIT_MINUTES} minutes; still open: ${open}`);
  process.exit(1);
}, LIMIT_MINUTES * 60_000);
limit.unref();
