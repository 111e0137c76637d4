import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import { startCairn } from '../src/index.js'

/** What a server holds of memory while it runs is more. */
const LEFT_BYTES_MAX = 4 * 1024 * 1024
const SERVERS = 4

/** Bytes of buffers that somebody still holds. */
function bufferBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}

describe('startCairn', () => {
  it('serves in this process until it is closed', async () => {
    const server = await startCairn({ port: 0 })
    const ready = await fetch(`${server.endpoint}/-/health/ready`)
    expect([ready.status, await ready.json()]).to.deep.equal([200, { ready: true }])
    const anonymous = await fetch(`${server.endpoint}/bucket/key`)
    expect([anonymous.status, (await anonymous.text()).includes('<Code>AccessDenied</Code>')]).to.deep.equal([
      403,
      true,
    ])
    await server.close()
    const after = await fetch(`${server.endpoint}/-/health/live`).catch((error: unknown) => error)
    expect(after).to.be.instanceOf(TypeError)
  })

  it('tells how large the disk of each drive is, and how much of it is free', async () => {
    const server = await startCairn({ port: 0 })
    const text = await (await fetch(`${server.endpoint}/-/metrics`)).text()
    await server.close()
    const read = (name: string): number[] =>
      [...text.matchAll(new RegExp(`^${name}\\{drive="\\w+"\\} (\\d+)`, 'gm'))].map(([, value]) =>
        Number(value),
      )
    const [capacities, free] = [read('cairn_drive_capacity_bytes'), read('cairn_drive_free_bytes')]
    expect([capacities.length, free.length]).to.deep.equal([3, 3])
    for (const [at, bytes] of free.entries()) expect(bytes).to.be.within(1, capacities[at] ?? 0)
  })

  it('leaves nothing of a closed server in memory', async () => {
    const run = async (): Promise<void> => (await startCairn({ port: 0 })).close()
    await run()
    const before = bufferBytes()
    for (let count = 0; count < SERVERS; count++) await run()
    expect(bufferBytes() - before).to.be.below(LEFT_BYTES_MAX)
  })
})
