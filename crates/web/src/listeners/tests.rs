use super::*;
use std::net::Ipv4Addr;

const HTTP: Purpose = Purpose::http("a", "--listen ");

async fn listeners(names: &[String], purpose: Purpose) -> Result<(Listeners, Services), BindError> {
    let services = Services::default();
    Ok((Listeners::bind(names, purpose, &services).await?, services))
}

async fn count(names: &[String]) -> usize {
    listeners(names, HTTP).await.unwrap().0.addresses().len()
}

#[tokio::test]
async fn a_listener_on_127_0_0_1_is_on_the_other_loopback_too() {
    let addresses = listeners(&["127.0.0.1:0".into()], HTTP).await.unwrap().0.addresses();
    let port = addresses[0].port();
    assert_eq!(addresses, [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()]);
}

#[tokio::test]
async fn an_address_that_is_given_twice_or_has_its_twin_given_is_bound_once() {
    let free = listeners(&["127.0.0.1:0".into()], HTTP).await.unwrap().0.addresses()[0].port();
    let names = [
        format!("127.0.0.1:{free}"),
        format!("[::1]:{free}"),
        format!("127.0.0.1:{free}"),
        format!("localhost:{free}"),
    ];
    assert_eq!(count(&names).await, 2);
    assert_eq!(count(&["127.0.0.1:0".into(), "[::1]:0".into()]).await, 2);
    assert_eq!(count(&["127.0.0.2:0".into(), "0.0.0.0:0".into()]).await, 2);
}

#[tokio::test]
async fn the_twin_of_127_0_0_1_is_left_to_all_addresses_of_ipv6_where_these_are_given() {
    let free = listeners(&["127.0.0.1:0".into()], HTTP).await.unwrap().0.addresses()[0].port();
    let [loopback, all] = [format!("127.0.0.1:{free}"), format!("[::]:{free}")];
    for names in [[loopback.clone(), all.clone()], [all, loopback]] {
        let (bound, services) = listeners(&names, HTTP).await.unwrap();
        let addresses: Vec<String> = bound.addresses().iter().map(SocketAddr::to_string).collect();
        assert_eq!((addresses, services.missing().len()), (names.to_vec(), 0));
    }
}

#[tokio::test]
async fn an_address_that_another_program_has_is_shown_and_taken_as_soon_as_it_is_free() {
    let other = bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let (bound, services) = listeners(&[taken.clone(), "127.0.0.3:0".into()], HTTP).await.unwrap();
    assert_eq!((bound.addresses().len(), bound.wanted().len()), (1, 2));
    let missing = services.missing();
    assert_eq!((missing[0].service, missing[0].protocol, &missing[0].address), ("a", "http", &taken));
    let remedy = "another program listens there: stop it, or choose another port with --listen HOST:PORT";
    assert_eq!(missing[0].reason, remedy);
    let (_, mut missing) = bound.into_parts();
    drop(other);
    let listener = missing.next().await;
    assert_eq!(listener.local_addr().unwrap().to_string(), taken);
    assert!(missing.is_empty() && services.missing().is_empty());
    assert_eq!(services.late()[0].address, taken);
    drop(missing);
    assert!(services.late().is_empty(), "it does not listen any more");
}

#[tokio::test]
async fn the_twin_of_127_0_0_1_that_another_program_has_is_shown_and_tried_again() {
    let other = bind("[::1]:0".parse().unwrap()).unwrap();
    let (twin, port) = (other.local_addr().unwrap(), other.local_addr().unwrap().port());
    let (bound, services) = listeners(&[format!("127.0.0.1:{port}")], HTTP).await.unwrap();
    assert_eq!((bound.addresses().len(), &services.missing()[0].address), (1, &twin.to_string()));
    let (_bound, mut missing) = bound.into_parts();
    drop(other);
    assert_eq!(missing.next().await.local_addr().unwrap(), twin);
}

#[tokio::test]
async fn a_service_that_needs_an_address_does_not_run_without_any() {
    let other = bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let taken = [other.local_addr().unwrap().to_string()];
    let error = listeners(&taken, HTTP).await.map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}: another program", taken[0])), "{error}");
    let (bound, services) = listeners(&taken, Purpose { is_required: false, ..HTTP }).await.unwrap();
    assert_eq!((bound.addresses().len(), services.missing().len()), (0, 1));
    drop(bound);
    assert!(services.missing().is_empty(), "nobody tries any more");
    assert!(listeners(&[], HTTP).await.is_ok(), "no address was wanted");
}
