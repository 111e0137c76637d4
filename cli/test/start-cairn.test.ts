import { expect } from 'chai'
import { startCairn } from '../src/index.js'

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
})
