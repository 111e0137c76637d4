import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CheckReport } from '@cairn/protocol'
import { expect } from 'chai'
import { fsck } from '../../src/commands/fsck.js'
import { readConfig } from '../../src/config.js'

const COUNTS = { done: 0, total: 0, blocks: 3, underReplicated: 0, corrupt: 0, orphaned: 0, dangling: 0 }
const CREDENTIALS = { CAIRN_ROOT_ACCESS_KEY: 'key', CAIRN_ROOT_SECRET_KEY: 'a secret of some length' }

/** Runs `cairn fsck --accept` against a server whose check ends in this state; what it was asked for. */
async function askedFor(state: CheckReport['state']): Promise<readonly string[]> {
  const report = { check: 'c1', state, phase: 'drives', ...COUNTS, pending: 0, findings: [] }
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.replace(/^.*\/v1\//, '')}`)
    response.end(JSON.stringify({ ...report, incarnation: 'i1' }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const { config } = readConfig({ argv: [], env: { ...CREDENTIALS, CAIRN_PORT: String(port) } })
  const options = { deep: false, json: false, accept: true, repairWait: false, waitSeconds: 1 }
  const { clean } = await fsck(config, options)
  expect(clean).to.equal(state === 'done')
  server.closeAllConnections()
  server.close()
  return asked
}

describe('cairn fsck --accept', () => {
  it('lets garbage be collected again after a check that came to its end', async () => {
    expect(await askedFor('done')).to.include('POST restore/accept?incarnation=i1')
  })

  it('accepts nothing when the check did not come to its end', async () => {
    for (const state of ['failed', 'cancelled'] as const) {
      expect((await askedFor(state)).join(), state).to.not.include('accept')
    }
  })
})
