import { after, afterEach, before, describe, type TestContext } from 'node:test';
import { NO_REDIS } from '@understudy/harness/programs';
import { type QueueKind, SERVICES, type Stack, startStack } from '@understudy/harness/stack';
import { CONTROL_ENVIRONMENT, controlTests } from './control.ts';
import { CONVERGENCE_ENVIRONMENT, convergenceTests } from './convergence.ts';

/** How much of what a service logged is shown when a test has failed. */
const SAID_LENGTH = 2_000;

/**
 * What all services together show, each a process of its own, over one stack: starting one costs more than most tests.
 * The seed fixes the sandbox's studio and its traffic; set UNDERSTUDY_SANDBOX_SEED to repeat a run.
 */
export function servicesOver(queue: QueueKind): void {
  const seed = process.env['UNDERSTUDY_SANDBOX_SEED'] ?? String(Date.now() % 1_000_000);
  describe(`services with jobs in ${queue}, seed ${seed}`, { skip: queue === 'redis' && NO_REDIS }, () => {
    let stack: Stack;
    before(async () => {
      console.log(`# seed ${seed}`);
      stack = await startStack({
        queue,
        env: {
          ...CONTROL_ENVIRONMENT,
          ...CONVERGENCE_ENVIRONMENT,
          UNDERSTUDY_SANDBOX_SEED: seed,
          UNDERSTUDY_SANDBOX_TRAFFIC: '0',
        },
      });
    });
    after(() => stack?.stop());
    afterEach((context) => {
      if ((context as TestContext & { readonly passed: boolean }).passed) return;
      for (const name of SERVICES)
        console.log(`# ${name} said at last:\n${stack.process(name).output.slice(-SAID_LENGTH)}`);
    });

    controlTests(() => stack);
    convergenceTests(queue, () => stack);
  });
}
