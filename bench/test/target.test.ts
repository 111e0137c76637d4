import { expect } from 'chai'
import { parseTarget } from '../src/target.js'

describe('parseTarget', () => {
  it('reads every field', () => {
    const text = 'name=n,endpoint=http://h:1/,access-key=a,secret-key=s==,region=r,pids=1+2,contract=no sync'
    expect(parseTarget(text)).to.deep.equal({
      name: 'n',
      endpoint: 'http://h:1',
      accessKey: 'a',
      secretKey: 's==',
      region: 'r',
      pids: [1, 2],
      contract: 'no sync',
    })
  })

  it('reads which process is what', () => {
    const text = 'name=n,endpoint=http://h:1,access-key=a,secret-key=s,pids=gateway:1+etcd:2+etcd:3+4'
    expect(parseTarget(text)).to.deep.include({ pids: [1, 2, 3, 4], parts: { gateway: [1], etcd: [2, 3] } })
  })

  it('names what is missing or unknown', () => {
    expect(() => parseTarget('name=n')).to.throw('endpoint is missing')
    expect(() => parseTarget('size=4')).to.throw('what is "size=4"?')
    expect(() => parseTarget('name=n,endpoint=ftp://h,access-key=a,secret-key=s')).to.throw(
      'http://host:port',
    )
  })
})
