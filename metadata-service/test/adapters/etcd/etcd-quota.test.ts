import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { loadEtcdLibrary } from '../../../src/adapters/etcd/etcd-library.js'
import { findQuotaBytes, readQuota } from '../../../src/adapters/etcd/etcd-quota.js'

const PAGE = `# TYPE etcd_server_quota_backend_bytes gauge
etcd_server_quota_backend_bytes 8.589934592e+09
etcd_server_read_indexes_failed_total 0
`

describe('the quota of a member of etcd', () => {
  it('is read from a page of metrics', () => {
    expect(readQuota(PAGE)).to.equal(8 * 1024 ** 3)
  })

  it('is unknown where it is not told, or turned off', () => {
    expect(readQuota('')).to.equal(undefined)
    expect(readQuota('etcd_server_quota_backend_bytes 0\n')).to.equal(undefined)
  })

  it('is unknown when the page cannot be had in time', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const found = await findQuotaBytes({ address, tls: undefined }, 50)
    server.closeAllConnections()
    server.close()
    expect(found).to.equal(undefined)
    expect(await findQuotaBytes({ address: '127.0.0.1:1', tls: undefined }, 1_000)).to.equal(undefined)
  })

  it('is understood in the status of etcd 3.6', async () => {
    const { methods } = await loadEtcdLibrary()
    // Fields 3, 9 and 12 of the message: 5, 3 and 300.
    const answer = methods.status.decode(Buffer.from([0x18, 5, 0x48, 3, 0x60, 0xac, 0x02]))
    expect(answer).to.deep.include({ dbSize: '5', dbSizeInUse: '3', dbSizeQuota: '300' })
  })
})
