import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { readConfig } from '../../src/config.js'
import { openLog } from '../../src/log.js'
import { startChunkRole } from '../../src/roles/chunk.js'
import { createEnvironment, type RoleEnvironment } from '../../src/roles/environment.js'
import { startMetadataRole } from '../../src/roles/metadata.js'
import { errorOf } from '../error-of.js'

/** Where nobody listens. */
const NOBODY = '127.0.0.1:1'
/** How much faster: a role is patient for half a minute. */
const HURRY = 100

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** What is answered there, once somebody listens. */
async function ask(port: number, path: string): Promise<[number, unknown]> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/-/health/${path}`).catch(() => undefined)
    if (answer !== undefined) return [answer.status, await answer.json()]
    await setImmediate()
  }
}

describe('a role that is still starting', () => {
  /** From when on the clock hurries. */
  let hurriedAtMs = Number.POSITIVE_INFINITY
  const clock: Clock = {
    ...systemClock,
    monotonicMs() {
      const nowMs = systemClock.monotonicMs()
      return nowMs + Math.max(0, nowMs - hurriedAtMs) * HURRY
    },
  }
  let folder: string
  let httpPort: number

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-early-'))
    httpPort = await findFreePort()
  })
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  function environment(role: string, env: Record<string, string>): RoleEnvironment {
    const own = {
      CAIRN_DATA_DIR: join(folder, role),
      CAIRN_HTTP_PORT: String(httpPort),
      CAIRN_RPC_PORT: '0',
      CAIRN_CLUSTER_SECRET: 's'.repeat(32),
    }
    const { config } = readConfig({ argv: ['--role', role], env: { ...own, ...env } })
    return { ...createEnvironment(config, openLog('silent')), clock }
  }

  beforeEach(() => {
    hurriedAtMs = Number.POSITIVE_INFINITY
  })

  async function expectAlive(starting: Promise<unknown>, trouble: string): Promise<void> {
    const ending = errorOf(starting)
    expect(await ask(httpPort, 'live')).to.deep.equal([200, { live: true }])
    expect(await ask(httpPort, 'ready')).to.deep.equal([503, { ready: false, trouble }])
    hurriedAtMs = systemClock.monotonicMs()
    expect(await ending).to.be.instanceOf(Error)
    expect(await fetch(`http://127.0.0.1:${httpPort}/`).catch(() => 'closed')).to.equal('closed')
  }

  it('is alive, and says that it is not ready: a chunk server without a metadata service', async () => {
    const role = environment('chunk', { CAIRN_METADATA: NOBODY })
    await expectAlive(startChunkRole(role), 'waiting for a metadata service, or opening the drives')
  })

  it('is alive, and says that it is not ready: a metadata service without etcd', async () => {
    const role = environment('metadata', { CAIRN_ETCD: NOBODY })
    await expectAlive(startMetadataRole(role), 'opening the metadata store')
  })
})
