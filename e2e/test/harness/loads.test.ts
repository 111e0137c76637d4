/** The loads that look for faults find them. */
import { expect } from 'chai'
import { CallHistory, judge } from '../../src/check/index.js'
import { startMixedLoad } from '../../src/harness/mixed-load.js'
import { RecordedClient } from '../../src/harness/recorded-client.js'
import { createSeeded } from '../../src/harness/seeded.js'
import type { SignedClient } from '../../src/harness/signed-client.js'
import { FAKE_BUGS, fakeGateways } from './support/fake-gateways.js'

const REQUESTS = 400
const ACTIONS = 60
const KEYS = ['p/a', 'p/b']
const THINK_MS = 0

/** What the mixed load complains of. */
async function mixedLoad(clients: readonly SignedClient[]): Promise<readonly string[]> {
  let requests = 0
  const counted = clients.map((client) => ({
    ...client,
    send: (...call: Parameters<SignedClient['send']>) => {
      if (++requests === REQUESTS) enough()
      return client.send(...call)
    },
  }))
  let enough = (): void => undefined
  const isEnough = new Promise<void>((resolve) => {
    enough = resolve
  })
  const load = await startMixedLoad({
    seeded: createSeeded(),
    thinkMs: THINK_MS,
    clients: counted,
    bucket: 'b',
    writers: 6,
  })
  await isEnough
  await load.stop()
  await load.check()
  return load.complaints
}

/** What the checker says of recorded clients. */
async function recordedClients(clients: readonly SignedClient[]): Promise<readonly string[]> {
  const history = new CallHistory()
  const seeded = createSeeded()
  const bucket = { name: 'b', isVersioned: false }
  const users = Array.from({ length: 4 }, () => {
    let left = ACTIONS
    const user = new RecordedClient({
      bucket,
      prefix: 'p/',
      keys: KEYS,
      history,
      seeded,
      gateways: clients,
      thinkMs: THINK_MS,
    })
    return user.run(() => left-- > 0)
  })
  await Promise.all(users)
  return judge(history, false)
}

for (const [name, load] of Object.entries({
  'a mixed load': mixedLoad,
  'recorded clients': recordedClients,
})) {
  describe(`${name} on a store in memory`, function () {
    this.timeout(60_000)

    it('finds nothing wrong with one that is right', async () => {
      expect(await load(fakeGateways())).to.deep.equal([])
    })

    for (const bug of FAKE_BUGS) {
      it(`finds one that ${bug}`, async () => {
        expect(await load(fakeGateways(bug))).not.to.deep.equal([])
      })
    }
  })
}
