import { expect } from 'chai'
import { ConnectionCounts } from '../../src/http/connection-limits.js'
import { networkOf, peerAddressOf } from '../../src/http/peer-address.js'

describe('limits of connections', () => {
  it('know an IPv4 peer of a listener for both families', () => {
    expect(peerAddressOf({ remoteAddress: '::ffff:10.0.0.1' })).to.equal('10.0.0.1')
    expect(peerAddressOf({ remoteAddress: '10.0.0.1' })).to.equal('10.0.0.1')
    expect(peerAddressOf({ remoteAddress: '::ffff:1' })).to.equal('::ffff:1')
    expect(peerAddressOf({})).to.equal('')
  })

  it('count the network of an IPv6 peer, for it has 2^64 addresses', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).to.equal('2001:db8:1:2::/64')
    expect(networkOf('2001:db8:1:2::6')).to.equal('2001:db8:1:2::/64')
    expect(networkOf('2001:db8::1:6')).to.equal('2001:db8:0:0::/64')
    expect(networkOf('2001::1:2:3:4:5')).to.equal('2001:0:0:1::/64')
    expect(networkOf('fe80::1%eth0')).to.equal('fe80:0:0:0::/64')
    expect(networkOf('::1')).to.equal('0:0:0:0::/64')
    expect(networkOf('::1.2.3.4')).to.equal('0:0:0:0::/64')
    expect(networkOf('10.0.0.1')).to.equal('10.0.0.1')
  })

  it('refuse more from one network, not from its neighbour or a trusted proxy', () => {
    const counts = new ConnectionCounts({
      connectionsMax: 100,
      connectionsPerAddressMax: 1,
      trustedAddresses: ['2001:db8::1'],
    })
    expect(counts.admit('2001:db8:1:2::1')).to.equal(true)
    expect(counts.admit('2001:db8:1:2::2')).to.equal(false)
    expect(counts.admit('2001:db8:1:3::1')).to.equal(true)
    expect(counts.admit('2001:db8::1')).to.equal(true)
    expect(counts.admit('2001:db8::1')).to.equal(true)
    counts.release('2001:db8:1:2::1')
    expect(counts.admit('2001:db8:1:2::2')).to.equal(true)
    expect(counts.total).to.equal(4)
  })
})
